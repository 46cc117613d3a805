// grow(): room in a long vector without much of it in vain. Private to index/.
#pragma once

#include <algorithm>
#include <cstddef>

namespace samtale {

// Room for so many elements, and a quarter more than there was: doubling would hold up to as much
// again that is empty.
template <class Column>
void grow(Column& column, std::size_t size) {
  const auto capacity = column.capacity();
  if (size > capacity) column.reserve(std::max(size, capacity + capacity / 4));
}

}  // namespace samtale
