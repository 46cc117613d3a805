# samtale_module(NAME HEADERS h... [SOURCES cc...] [DEPENDS room...] [TEST_DEPENDS room...]
#                [TESTS_IN_ONE_PROCESS regex] [LIBRARIES lib...]): one room of src/, built as samtale::NAME.
#
# HEADERS are the room's front door. DEPENDS are the only rooms it may include; tools/check_layers
# reads them from here. Every *_test.cc beside the code is a test and every *_bench.cc a benchmark:
# none can be forgotten, because none is listed. Both are there with SAMTALE_TESTS only, so that a
# mere build needs neither of their libraries. TEST_DEPENDS are rooms only the tests link (sim, and
# rooms whose testing/ folder they use). Tests whose file name matches the regular expression
# TESTS_IN_ONE_PROCESS share a server that takes long to start: they are one test of ctest, NAME.together.
function(samtale_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TESTS_IN_ONE_PROCESS" "HEADERS;SOURCES;DEPENDS;TEST_DEPENDS;LIBRARIES")
  list(TRANSFORM arg_DEPENDS PREPEND samtale::)
  list(TRANSFORM arg_TEST_DEPENDS PREPEND samtale::)

  if(arg_SOURCES)
    add_library(samtale_${name} STATIC ${arg_SOURCES})
    target_link_libraries(samtale_${name} PUBLIC samtale_options ${arg_DEPENDS} ${arg_LIBRARIES})
  else()
    add_library(samtale_${name} INTERFACE)
    target_link_libraries(samtale_${name} INTERFACE samtale_options ${arg_DEPENDS} ${arg_LIBRARIES})
  endif()
  add_library(samtale::${name} ALIAS samtale_${name})

  if(SAMTALE_TESTS)
    file(GLOB_RECURSE tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS *_test.cc)
    set_source_files_properties(${tests} PROPERTIES COMPILE_OPTIONS "${SAMTALE_TEST_FLAGS}")
    set(together)
    if(arg_TESTS_IN_ONE_PROCESS)
      set(together ${tests})
      list(FILTER together INCLUDE REGEX "${arg_TESTS_IN_ONE_PROCESS}")
      list(FILTER tests EXCLUDE REGEX "${arg_TESTS_IN_ONE_PROCESS}")
    endif()
    if(together)
      add_executable(${name}_together_test ${together})
      target_link_libraries(${name}_together_test PRIVATE samtale::${name} ${arg_TEST_DEPENDS} GTest::gmock_main)
      add_test(NAME ${name}.together COMMAND ${name}_together_test WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
      set_tests_properties(${name}.together PROPERTIES LABELS unit COST 80)
    endif()
    if(tests)
      add_executable(${name}_test ${tests})
      target_link_libraries(${name}_test PRIVATE samtale::${name} ${arg_TEST_DEPENDS} GTest::gmock_main)
      # From the build folder, so that a relative __FILE__ names the source.
      gtest_discover_tests(${name}_test TEST_PREFIX ${name}. PROPERTIES LABELS unit
        WORKING_DIRECTORY ${CMAKE_BINARY_DIR} DISCOVERY_TIMEOUT 60)
      if(together)  # So that who builds a room's tests builds all of them.
        add_dependencies(${name}_test ${name}_together_test)
      endif()
    elseif(together)
      add_custom_target(${name}_test DEPENDS ${name}_together_test)
    endif()

    file(GLOB benches CONFIGURE_DEPENDS *_bench.cc)
    if(benches)
      find_package(benchmark REQUIRED)
      add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
      target_link_libraries(${name}_bench PRIVATE samtale::${name} benchmark::benchmark_main)
    endif()
  endif()
endfunction()
