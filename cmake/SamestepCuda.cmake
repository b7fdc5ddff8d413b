# The CUDA compiler and runtime, from PyPI (nvidia-cuda-nvcc and friends, in SAMESTEP_TOOLS_PYTHON) or from an installed
# toolkit. Needs no GPU and no driver.
execute_process(
  COMMAND ${SAMESTEP_TOOLS_PYTHON} -c "import importlib.util, pathlib; print(pathlib.Path(list(importlib.util.find_spec('nvidia').submodule_search_locations)[0]) / 'cu13')"
  OUTPUT_VARIABLE SAMESTEP_CUDA_PACKAGES OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
find_program(SAMESTEP_NVCC nvcc HINTS ${SAMESTEP_CUDA_PACKAGES}/bin PATHS /usr/local/cuda/bin)
if(NOT SAMESTEP_NVCC AND SAMESTEP_CUDA STREQUAL "AUTO")
  message(STATUS "No CUDA compiler: without the CUDA kernels")
  set(SAMESTEP_CUDA OFF)
  return()
endif()
if(NOT SAMESTEP_NVCC)
  message(FATAL_ERROR "No CUDA compiler. Run scripts/setup.sh (it takes nvidia-cuda-nvcc from PyPI), install a CUDA 13 "
                      "toolkit, or pass -DSAMESTEP_CUDA=OFF.")
endif()
set(CMAKE_CUDA_COMPILER ${SAMESTEP_NVCC})
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90-real 90-virtual)
endif()
enable_language(CUDA)

# The runtime, linked statically, beside the compiler that was found: the packages keep it in lib/, a toolkit in lib64/,
# and CMake knows only the latter.
get_filename_component(SAMESTEP_CUDA_ROOT ${SAMESTEP_NVCC} REALPATH)
get_filename_component(SAMESTEP_CUDA_ROOT ${SAMESTEP_CUDA_ROOT} DIRECTORY)
get_filename_component(SAMESTEP_CUDA_ROOT ${SAMESTEP_CUDA_ROOT} DIRECTORY)
find_library(SAMESTEP_CUDART cudart_static HINTS ${SAMESTEP_CUDA_ROOT}/lib ${SAMESTEP_CUDA_ROOT}/lib64 NO_DEFAULT_PATH)
if(NOT SAMESTEP_CUDART)
  message(FATAL_ERROR "${SAMESTEP_NVCC} has no libcudart_static.a beside it. Install nvidia-cuda-runtime (PyPI).")
endif()
add_library(samestep_cudart INTERFACE)
target_include_directories(samestep_cudart SYSTEM INTERFACE ${SAMESTEP_CUDA_ROOT}/include)
target_link_libraries(samestep_cudart INTERFACE ${SAMESTEP_CUDART} ${CMAKE_DL_LIBS} rt Threads::Threads)
