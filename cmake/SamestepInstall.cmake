# cmake --install, and what find_package(Samestep) finds: the C++ API as one archive, Samestep::samestep. The parts that
# it is made of stay an inner matter. Component "api": cmake --install BUILD --component api --prefix DIR.
if(NOT TARGET samestep_capture)
  return()
endif()
include(CMakePackageConfigHelpers)
set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/Samestep)

add_library(samestep_api STATIC
  $<TARGET_OBJECTS:samestep_kernels> $<TARGET_OBJECTS:samestep_record> $<TARGET_OBJECTS:samestep_checkpoint>
  $<TARGET_OBJECTS:samestep_protocol> $<TARGET_OBJECTS:samestep_capture>)
set_target_properties(samestep_api PROPERTIES OUTPUT_NAME samestep EXPORT_NAME samestep LINKER_LANGUAGE CXX)
target_compile_features(samestep_api INTERFACE cxx_std_20)
# LibTorch is added by the config file: the wheel lies elsewhere on every machine.
target_link_libraries(samestep_api INTERFACE fmt::fmt Threads::Threads ${CMAKE_DL_LIBS})

install(TARGETS samestep_api EXPORT SamestepTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT api
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES replay/capture/session.h replay/capture/kept_state.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/samestep COMPONENT api)
install(EXPORT SamestepTargets NAMESPACE Samestep:: DESTINATION ${config_folder} COMPONENT api)

configure_package_config_file(cmake/SamestepConfig.cmake.in ${PROJECT_BINARY_DIR}/SamestepConfig.cmake
                              INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/SamestepConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/SamestepConfig.cmake ${PROJECT_BINARY_DIR}/SamestepConfigVersion.cmake
              cmake/SamestepTorch.cmake
        DESTINATION ${config_folder} COMPONENT api)
