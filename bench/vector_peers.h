// The libraries that ours is measured against, each at its published parameters: M = 16 (32
// neighbours at the bottom), efConstruction = 200, vectors of float32. hnswlib and USearch are
// compiled here for this processor (USearch 2.16.9, as g++ 12 does not compile the kernels of 2.25
// as headers); FAISS is as the system's package has it, which is without AVX2: its line says what
// one gets, not what it could do.
#pragma once

#include <faiss/IndexHNSW.h>
#include <faiss/impl/FaissAssert.h>
#include <faiss/impl/IDSelector.h>
#include <hnswlib/hnswlib.h>
#include <omp.h>
#include <usearch/index_dense.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "vector_contender.h"
#include "vector_data.h"

namespace samtale {

class Hnswlib final : public Library {
 public:
  explicit Hnswlib(const VectorData& data)
      : data_(data), space_(data.dimension), graph_(&space_, data.size(), 16, 200) {
    for (std::size_t i = 0; i < data.size(); ++i) graph_.addPoint(data.vector(i).data(), i);
  }
  void search(std::size_t query, std::size_t effort, Allowed, std::vector<float>& scores) override {
    graph_.setEf(effort);
    scores.clear();
    auto found = graph_.searchKnn(data_.query(query).data(), kWanted);
    for (; !found.empty(); found.pop()) scores.push_back(1 - found.top().first);
  }

 private:
  const VectorData& data_;
  hnswlib::InnerProductSpace space_;
  hnswlib::HierarchicalNSW<float> graph_;
};

class Usearch final : public Library {
 public:
  explicit Usearch(const VectorData& data) : data_(data) {
    using namespace unum::usearch;
    auto made = index_dense_t::make(
        metric_punned_t(data.dimension, metric_kind_t::ip_k, scalar_kind_t::f32_k),
        index_dense_config_t(16, 200));
    if (!made) refuse("USearch makes its index");
    graph_ = std::move(made.index);
    // Two threads may search (cores).
    if (!graph_.try_reserve({data.size(), 2})) refuse("USearch has room");
    for (std::size_t i = 0; i < data.size(); ++i) {
      if (!graph_.add(i, data.vector(i).data())) refuse("USearch takes every vector");
    }
  }
  void search(std::size_t query, std::size_t effort, Allowed allowed,
              std::vector<float>& scores) override {
    graph_.change_expansion_search(effort);
    const auto* const numbers = data_.query(query).data();
    const auto is_allowed = [&](std::uint64_t row) { return (*allowed.rows)[row] != 0; };
    const auto found = allowed.rows == nullptr
                           ? graph_.search(numbers, kWanted)
                           : graph_.filtered_search(numbers, kWanted, is_allowed);
    scores.clear();
    for (std::size_t i = 0; i < found.size(); ++i) scores.push_back(1 - found[i].distance);
  }

 private:
  const VectorData& data_;
  unum::usearch::index_dense_t graph_;
};

class Faiss final : public Library {
 public:
  explicit Faiss(const VectorData& data)
      : data_(data), graph_(static_cast<int>(data.dimension), 16, faiss::METRIC_INNER_PRODUCT) {
    omp_set_num_threads(1);
    graph_.hnsw.efConstruction = 200;
    graph_.add(static_cast<faiss::Index::idx_t>(data.size()), data.vectors.data());
  }
  void search(std::size_t query, std::size_t effort, Allowed allowed,
              std::vector<float>& scores) override {
    faiss::SearchParametersHNSW parameters;
    parameters.efSearch = static_cast<int>(effort);
    const Selected selected(allowed);
    faiss::Index::idx_t ids[kWanted];
    float found[kWanted];
    if (allowed.rows != nullptr) parameters.sel = const_cast<Selected*>(&selected);
    graph_.search(1, data_.query(query).data(), kWanted, found, ids, &parameters);
    scores.clear();
    for (std::size_t i = 0; i < kWanted; ++i) {
      if (ids[i] >= 0) scores.push_back(found[i]);
    }
  }

 private:
  struct Selected final : faiss::IDSelector {
    explicit Selected(Allowed these) : allowed(these) {}
    [[nodiscard]] bool is_member(idx_t id) const override {
      return (*allowed.rows)[static_cast<std::size_t>(id)] != 0;
    }
    Allowed allowed;
  };

  const VectorData& data_;
  faiss::IndexHNSWFlat graph_;
};

}  // namespace samtale
