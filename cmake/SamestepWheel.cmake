# What the wheel holds (pyproject.toml): component "python", the package; component "wheel", the program, which goes among
# the scripts of the environment, and the start-up hook and the library that tells of files, where the program looks.
add_custom_target(samestep_wheel)
if(NOT SAMESTEP_PREBUILT)
  add_dependencies(samestep_wheel samestep samestep_files samestep_python)
  if(TARGET samestep_cuda)
    add_dependencies(samestep_wheel samestep_cuda)
  endif()
  install(TARGETS samestep RUNTIME DESTINATION ${SKBUILD_SCRIPTS_DIR} COMPONENT wheel)
  install(TARGETS samestep_files LIBRARY DESTINATION ${SKBUILD_DATA_DIR}/lib/samestep COMPONENT wheel)
  install(DIRECTORY python/samestep/hook DESTINATION ${SKBUILD_DATA_DIR}/share/samestep COMPONENT wheel
          PATTERN "__pycache__" EXCLUDE)
  return()
endif()

# A build folder installs its own parts; nothing is compiled.
install(CODE "
  execute_process(COMMAND \"${CMAKE_COMMAND}\" --install \"${SAMESTEP_PREBUILT}\" --strip --component python
                          --prefix \"\${CMAKE_INSTALL_PREFIX}\" COMMAND_ERROR_IS_FATAL ANY)" COMPONENT python)
install(CODE "
  execute_process(COMMAND \"${CMAKE_COMMAND}\" --install \"${SAMESTEP_PREBUILT}\" --strip --component wheel
                          --prefix \"${SKBUILD_DATA_DIR}\" COMMAND_ERROR_IS_FATAL ANY)
  file(MAKE_DIRECTORY \"${SKBUILD_SCRIPTS_DIR}\")
  file(RENAME \"${SKBUILD_DATA_DIR}/bin/samestep\" \"${SKBUILD_SCRIPTS_DIR}/samestep\")
  file(REMOVE_RECURSE \"${SKBUILD_DATA_DIR}/bin\")" COMPONENT wheel)
