// HugeVector: a vector for large tables that are read in no order.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

namespace samtale {

// From 16 MiB on the memory asks for huge pages, where the kernel gives them to who asks
// (transparent_hugepage=madvise, Debian's way): a row somewhere then costs one miss, not also one
// of the page table. It is whole pages of 2 MiB, at most an eighth more.
template <class T>
struct HugePageAllocator {
  using value_type = T;

  HugePageAllocator() = default;
  template <class U>
  explicit HugePageAllocator(const HugePageAllocator<U>& /*other*/) {}

  T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(-1) / 2 / sizeof(T)) throw std::bad_alloc();
    const auto bytes = count * sizeof(T);
    if (bytes < kFrom) return static_cast<T*>(::operator new(bytes));
    const auto whole = (bytes + kPage - 1) / kPage * kPage;
    void* const memory = std::aligned_alloc(kPage, whole);
    if (memory == nullptr) throw std::bad_alloc();
    ::madvise(memory, whole, MADV_HUGEPAGE);  // Refused where there are none: as good as before.
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) {
    if (count * sizeof(T) < kFrom) return ::operator delete(memory);
    std::free(memory);
  }
  bool operator==(const HugePageAllocator&) const = default;

 private:
  static constexpr std::size_t kPage = std::size_t{2} << 20;
  static constexpr std::size_t kFrom = 8 * kPage;
};

template <class T>
using HugeVector = std::vector<T, HugePageAllocator<T>>;

}  // namespace samtale
