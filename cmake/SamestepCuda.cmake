# The CUDA compiler from PyPI (nvidia-cuda-nvcc and friends) or from an installed toolkit. Needs no GPU.
execute_process(
  COMMAND ${SAMESTEP_TOOLS_PYTHON} -c "import importlib.util, pathlib; print(pathlib.Path(list(importlib.util.find_spec('nvidia').submodule_search_locations)[0]) / 'cu13')"
  OUTPUT_VARIABLE SAMESTEP_CUDA_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
find_program(SAMESTEP_NVCC nvcc HINTS ${SAMESTEP_CUDA_ROOT}/bin REQUIRED)
set(CMAKE_CUDA_COMPILER ${SAMESTEP_NVCC})
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90-real 90-virtual)
endif()
enable_language(CUDA)
