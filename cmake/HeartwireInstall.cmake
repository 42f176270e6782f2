# Installs both libraries, both headers, heartwire.pc, and the package for find_package(heartwire).

install(FILES "${made}/${shared_file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
install(FILES "${made}/${shared_soname}" "${made}/${shared_link}" "${made}/${static_file}"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/include/heartwire.h" "${PROJECT_SOURCE_DIR}/include/heartwire.hpp"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")

# Files that name the prefix are made while installing: `cmake --install build --prefix elsewhere` may change it.
set(pkg_config_made "${PROJECT_BINARY_DIR}/heartwire.pc")
install(CODE "
    set(PREFIX \"\${CMAKE_INSTALL_PREFIX}\")
    set(LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
    set(INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
    set(VERSION \"${PROJECT_VERSION}\")
    set(LIBS_PRIVATE \"${pkg_config_libraries}\")
    configure_file(\"${PROJECT_SOURCE_DIR}/cmake/heartwire.pc.in\" \"${pkg_config_made}\" @ONLY)
")
install(FILES "${pkg_config_made}" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/heartwire")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/heartwire-config.cmake.in"
    "${PROJECT_BINARY_DIR}/heartwire-config.cmake"
    INSTALL_DESTINATION "${package_folder}"
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
# What the SONAME promises: any 0.x after the one that was asked for will do.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/heartwire-config-version.cmake"
    COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/heartwire-config.cmake" "${PROJECT_BINARY_DIR}/heartwire-config-version.cmake"
    DESTINATION "${package_folder}")
