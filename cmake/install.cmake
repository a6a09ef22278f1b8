# cmake --install: the two programs, the runtime that artifacts are linked with, the header, CMake and pkg-config
# files, man pages, completion. Everything finds the rest by its own place, so --prefix may be given at install time.
include(CMakePackageConfigHelpers)
install(TARGETS dlc dlrun RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES $<TARGET_FILE:dlcrt> DESTINATION lib/dlc)
install(FILES runtime/dlc.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES docs/dlc.1 docs/dlrun.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
foreach(program dlc dlrun)
  install(FILES scripts/dlc-completion.bash RENAME ${program}
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endforeach()
configure_package_config_file(cmake/dlcConfig.cmake.in ${CMAKE_BINARY_DIR}/dlcConfig.cmake
  INSTALL_DESTINATION lib/cmake/dlc PATH_VARS CMAKE_INSTALL_BINDIR NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/dlcConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/dlcConfig.cmake ${CMAKE_BINARY_DIR}/dlcConfigVersion.cmake
        DESTINATION lib/cmake/dlc)
configure_file(cmake/dlc.pc.in ${CMAKE_BINARY_DIR}/dlc.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/dlc.pc DESTINATION lib/pkgconfig)
