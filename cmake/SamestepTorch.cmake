# The LibTorch inside the `torch` package of SAMESTEP_PYTHON, as imported targets of our own: the wheel's
# find_package(Torch) insists on a matching CUDA toolkit even where no CUDA is used.
#
# SAMESTEP_TORCH_DIR and SAMESTEP_TORCH_VERSION, given together, are taken as they are: a wheel is built inside an
# isolation where no Python can say them.
if(SAMESTEP_TORCH_DIR AND SAMESTEP_TORCH_VERSION)
  set(SAMESTEP_TORCH_FOUND "${SAMESTEP_TORCH_DIR};${SAMESTEP_TORCH_VERSION}")
else()
  execute_process(
    COMMAND ${SAMESTEP_PYTHON} -c "import importlib.util, importlib.metadata, pathlib; print(pathlib.Path(importlib.util.find_spec('torch').origin).parent, importlib.metadata.version('torch'), sep=';')"
    OUTPUT_VARIABLE SAMESTEP_TORCH_FOUND OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "No torch in ${SAMESTEP_PYTHON}. Run scripts/setup.sh, or pass -DSAMESTEP_PYTHON=/path/to/python with torch 2.11 to 2.15.")
  endif()
endif()
list(GET SAMESTEP_TORCH_FOUND 0 SAMESTEP_TORCH_DIR)
list(GET SAMESTEP_TORCH_FOUND 1 SAMESTEP_TORCH_VERSION)
if(SAMESTEP_TORCH_VERSION VERSION_LESS 2.11 OR SAMESTEP_TORCH_VERSION VERSION_GREATER_EQUAL 2.16)
  message(FATAL_ERROR "torch ${SAMESTEP_TORCH_VERSION} in ${SAMESTEP_PYTHON}: 2.11 to 2.15 are supported.")
endif()
message(STATUS "LibTorch ${SAMESTEP_TORCH_VERSION} from ${SAMESTEP_TORCH_DIR}")

foreach(part c10 torch_cpu)
  add_library(samestep_${part} SHARED IMPORTED GLOBAL)
  set_target_properties(samestep_${part} PROPERTIES IMPORTED_LOCATION ${SAMESTEP_TORCH_DIR}/lib/lib${part}.so)
endforeach()
# torch_cuda is not linked: a program that wants it loads it, and a CPU program starts without 3 GB of libraries.
add_library(samestep_torch INTERFACE)
target_include_directories(samestep_torch SYSTEM INTERFACE
  $<BUILD_INTERFACE:${SAMESTEP_TORCH_DIR}/include> $<BUILD_INTERFACE:${SAMESTEP_TORCH_DIR}/include/torch/csrc/api/include>)
target_link_libraries(samestep_torch INTERFACE samestep_torch_cpu samestep_c10)
# Otherwise the linker follows NCCL and cuDNN into whatever version lies elsewhere on the machine, and stops.
target_link_options(samestep_torch INTERFACE -Wl,--allow-shlib-undefined)
