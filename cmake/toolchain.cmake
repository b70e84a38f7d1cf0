# Compiler flags and third-party packages, in one place.
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(Threads REQUIRED)

find_program(CCACHE ccache)
if(CCACHE)
  # Without this setting ccache passes over every file that uses a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

add_library(ms_options INTERFACE)
target_include_directories(ms_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
# LuaJIT will unwind through our frames, so exceptions stay on although our code throws none.
target_compile_options(ms_options INTERFACE -march=x86-64-v3 -fexceptions -fno-omit-frame-pointer)
target_compile_options(ms_options INTERFACE -Wall -Wextra -Wshadow -Wconversion)
target_compile_definitions(ms_options INTERFACE SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
target_link_libraries(ms_options INTERFACE Threads::Threads)

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(ms_options INTERFACE -Werror)
  target_link_options(ms_options INTERFACE -fuse-ld=lld)
  # A precompiled header that carries no time stamp is the same file after each build, so ccache finds its users.
  target_compile_options(ms_options INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()

if(MS_SANITIZE)
  list(JOIN MS_SANITIZE "," MS_SANITIZE_FLAG)
  target_compile_options(ms_options INTERFACE -fsanitize=${MS_SANITIZE_FLAG} -fno-sanitize-recover=all)
  target_link_options(ms_options INTERFACE -fsanitize=${MS_SANITIZE_FLAG})
endif()
if(MS_FUZZ)
  target_compile_options(ms_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Release builds take their general allocations from mimalloc; sanitizers bring their own allocator.
find_package(mimalloc QUIET)
if(mimalloc_FOUND AND NOT MS_SANITIZE AND NOT MS_FUZZ)
  set(MS_MIMALLOC ON)
endif()

if(MS_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(MS_BENCH)
  find_package(benchmark REQUIRED)
endif()
