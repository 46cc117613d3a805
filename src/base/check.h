// SAMTALE_CHECK: an invariant of ours. Always on, because running on past a broken invariant costs
// more than stopping. For bytes, peers and users return an Error instead: they are allowed to be
// wrong, we are not.
#pragma once

#include <cstdio>
#include <cstdlib>

#define SAMTALE_CHECK(condition, why)                                                      \
  do {                                                                                     \
    if (!(condition)) [[unlikely]] {                                                       \
      std::fprintf(stderr, "%s:%d: CHECK(%s): %s\n", __FILE__, __LINE__, #condition, why); \
      std::abort();                                                                        \
    }                                                                                      \
  } while (false)
