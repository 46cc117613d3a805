// Placement: which searchers hold the index of which slice of which partition.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "cluster/member.h"

namespace samtale {

// Every slice goes to `replicas` nodes, or to all if they are fewer. Who knows the same nodes
// places the same; a node that comes or goes moves little more than its own part.
// Highest random weight (Thaler & Ravishankar 1998, "Using Name-Based Mappings to Increase Hit
// Rates"), with bounded loads (Mirrokni, Thorup & Zadimoghaddam 2018): nobody gets more than a
// quarter above an even part, rounded up. Of several slices of one partition everybody gets an even
// part, rounded up or down, which comes first: a company is split so that no node has all of it.
// Shapes: one entry a node, in the order of `nodes`, which have no doubles.
[[nodiscard]] std::vector<Slices> place(std::size_t partitions, std::size_t slices,
                                        std::span<const std::string> nodes, std::size_t replicas);

}  // namespace samtale
