// Ledger: what a task has cost so far.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "lm/budget.h"
#include "lm/chat.h"
#include "store/store.h"

namespace samtale {

struct Ledger {
  std::vector<SpendChange> spend;  // One a day and analyzer.
  TokenUsage usage;
  int requests = 0;

  void book(std::vector<SpendChange> changes) {
    for (auto& change : changes) {
      const auto same = std::ranges::find_if(spend, [&](const SpendChange& booked) {
        return booked.day == change.day && booked.analyzer == change.analyzer;
      });
      if (same == spend.end()) {
        spend.push_back(std::move(change));
        continue;
      }
      same->spent.tokens += change.spent.tokens;
      same->spent.micro_usd += change.spent.micro_usd;
      same->held.tokens += change.held.tokens;
      same->held.micro_usd += change.held.micro_usd;
      same->requests += change.requests;
    }
  }

  void add(Ledger other) {
    book(std::move(other.spend));
    usage += other.usage;
    requests += other.requests;
  }
};

}  // namespace samtale
