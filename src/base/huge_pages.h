// HugeVector: a vector for large tables that are read in no order.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <vector>

namespace samtale {

// From 4 MiB on the memory is a mapping of its own. It goes back to the system with the vector,
// where malloc may keep it as a hole below something small; and it asks for huge pages, where the
// kernel gives them to who asks (transparent_hugepage=madvise, Debian's way): a row somewhere then
// costs one miss, not also one of the page table.
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
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    ::madvise(memory, bytes, MADV_HUGEPAGE);  // Refused where there are none: as good as before.
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) {
    const auto bytes = count * sizeof(T);
    if (bytes < kFrom) return ::operator delete(memory);
    ::munmap(memory, bytes);
  }
  bool operator==(const HugePageAllocator&) const = default;

 private:
  static constexpr std::size_t kFrom = std::size_t{4} << 20;
};

template <class T>
using HugeVector = std::vector<T, HugePageAllocator<T>>;

}  // namespace samtale
