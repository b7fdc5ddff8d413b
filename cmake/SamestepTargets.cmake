# How every target of this project is built. Flags belong to targets: nothing here touches CMAKE_CXX_FLAGS.

# What all our own code is compiled with; bits depend on -ffp-contract=off.
add_library(samestep_options INTERFACE)
target_compile_features(samestep_options INTERFACE cxx_std_20)
target_compile_options(samestep_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -ffp-contract=off>)
# GCC 12 warns of overlapping copies inside its own std::string where there are none (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(samestep_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
target_include_directories(samestep_options INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
if(SAMESTEP_SANITIZE)
  target_compile_options(samestep_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${SAMESTEP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer>)
  target_link_options(samestep_options INTERFACE -fsanitize=${SAMESTEP_SANITIZE})
endif()

# samestep_library(NAME SOURCES...): a static library, position independent so that it may end up in a shared one.
function(samestep_library name)
  add_library(${name} STATIC ${ARGN})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden)
  target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:samestep_options>)
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_compile_features(${name} PUBLIC cxx_std_20)
endfunction()

# samestep_executable(NAME SOURCES...)
function(samestep_executable name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE samestep_options)
endfunction()

# samestep_torch_objects(NAME SOURCES...): objects with the flags of samestep_capture, so that its precompiled torch.h
# serves them too (an executable would get -fPIE): that takes 50 s to make, and saves 20 to 40 s a file.
function(samestep_torch_objects name)
  add_library(${name} OBJECT ${ARGN})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden)
  target_link_libraries(${name} PRIVATE samestep_options samestep_capture samestep_torch)
  target_precompile_headers(${name} REUSE_FROM samestep_capture)
endfunction()

# What tests are compiled with: what is tested has its own flags, the tests compile in two thirds of the time.
function(samestep_compile_as_test name)
  target_link_libraries(${name} PRIVATE samestep_options GTest::gmock)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  if(SAMESTEP_SANITIZE)
    target_compile_options(${name} PRIVATE -O0 -g1)
  endif()
endfunction()

# samestep_test(NAME SOURCES...): a GoogleTest program whose tests ctest lists one by one. All share one precompiled
# gmock.h: it takes 5 s to make, and saves more than one a file.
function(samestep_test name)
  if(NOT TARGET samestep_gmock)
    file(WRITE ${PROJECT_BINARY_DIR}/samestep_gmock.cpp "")
    add_library(samestep_gmock OBJECT ${PROJECT_BINARY_DIR}/samestep_gmock.cpp)
    samestep_compile_as_test(samestep_gmock)
    target_precompile_headers(samestep_gmock PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  add_executable(${name} ${ARGN})
  samestep_compile_as_test(${name})
  target_link_libraries(${name} PRIVATE GTest::gtest_main)
  target_precompile_headers(${name} REUSE_FROM samestep_gmock)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 600)
endfunction()
