# One run of cargo makes both libraries; the targets heartwire::heartwire and heartwire::static name what it makes.

set(features capi)
if(HEARTWIRE_VENDORED)
    list(APPEND features vendored)
elseif(HEARTWIRE_TLS)
    list(APPEND features native-tls)
endif()
if(HEARTWIRE_DEFLATE)
    list(APPEND features deflate)
endif()
string(REPLACE ";" "," features "${features}")

# What a program needs besides the static library: as pkg-config says it, and as CMake does. It is what
# `cargo rustc --lib -- --print native-static-libs` lists; .ci/packages compares this with cargo-c's list.
if(APPLE)
    set(system_libraries -liconv -lSystem -lc -lm)
    if(HEARTWIRE_TLS OR HEARTWIRE_VENDORED)
        list(INSERT system_libraries 0 "-framework Security" "-framework CoreFoundation")
    endif()
    set(HEARTWIRE_NEEDS_OPENSSL OFF)
else()
    set(system_libraries -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc)
    set(HEARTWIRE_NEEDS_OPENSSL OFF)
    if(HEARTWIRE_TLS AND NOT HEARTWIRE_VENDORED)
        set(HEARTWIRE_NEEDS_OPENSSL ON)
    endif()
endif()
set(pkg_config_libraries ${system_libraries})
if(HEARTWIRE_NEEDS_OPENSSL)
    list(INSERT pkg_config_libraries 0 -lssl -lcrypto)
endif()
string(REPLACE ";" " " pkg_config_libraries "${pkg_config_libraries}")

# The file with the version, the name that programs remember, and the name that the linker looks for.
set(base "${CMAKE_SHARED_LIBRARY_PREFIX}heartwire")
if(APPLE)
    set(shared_file "${base}.${PROJECT_VERSION}.dylib")
    set(shared_soname "${base}.${PROJECT_VERSION_MAJOR}.dylib")
    set(shared_link "${base}.dylib")
    set(soname_option "-Wl,-install_name,@rpath/${shared_soname}")
    set(cargo_soname "@rpath/${shared_soname}")
else()
    set(shared_file "${base}.so.${PROJECT_VERSION}")
    set(shared_soname "${base}.so.${PROJECT_VERSION_MAJOR}")
    set(shared_link "${base}.so")
    set(soname_option "-Wl,-soname,${shared_soname}")
    set(cargo_soname "${shared_soname}")
endif()
set(static_file "${CMAKE_STATIC_LIBRARY_PREFIX}heartwire${CMAKE_STATIC_LIBRARY_SUFFIX}")

if(HEARTWIRE_PROFILE STREQUAL "dev")
    set(cargo_folder debug)
else()
    set(cargo_folder "${HEARTWIRE_PROFILE}")
endif()
# Named crate types: cargo does no link-time optimization where an rlib is made, too.
set(cargo_options --lib --crate-type cdylib,staticlib --locked --profile ${HEARTWIRE_PROFILE} --no-default-features --features ${features}
    --target-dir "${HEARTWIRE_TARGET_DIR}" ${HEARTWIRE_CARGO_OPTIONS})
if(HEARTWIRE_TARGET)
    list(APPEND cargo_options --target ${HEARTWIRE_TARGET})
    set(cargo_folder "${HEARTWIRE_TARGET}/${cargo_folder}")
endif()
set(cargo_made "${HEARTWIRE_TARGET_DIR}/${cargo_folder}")
set(made "${PROJECT_BINARY_DIR}/lib")

# Cargo knows best what is up to date, so it is always asked. Its files are copied, so that a later run of cargo by
# hand, which gives no SONAME, does not get in here.
add_custom_target(heartwire_cargo ALL
    COMMAND "${HEARTWIRE_CARGO}" rustc ${cargo_options} -- -C link-arg=${soname_option}
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${made}"
    COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${cargo_made}/${shared_link}" "${made}/${shared_file}"
    COMMAND "${CMAKE_COMMAND}" -E create_symlink "${shared_file}" "${made}/${shared_soname}"
    COMMAND "${CMAKE_COMMAND}" -E create_symlink "${shared_file}" "${made}/${shared_link}"
    COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${cargo_made}/${static_file}" "${made}/${static_file}"
    BYPRODUCTS "${made}/${shared_file}" "${made}/${shared_soname}" "${made}/${shared_link}" "${made}/${static_file}"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    COMMENT "Building heartwire with cargo"
    USES_TERMINAL VERBATIM)

add_library(heartwire::heartwire SHARED IMPORTED GLOBAL)
set_target_properties(heartwire::heartwire PROPERTIES
    IMPORTED_LOCATION "${made}/${shared_file}"
    IMPORTED_SONAME "${cargo_soname}")

add_library(heartwire::static STATIC IMPORTED GLOBAL)
set(static_links ${system_libraries})
if(HEARTWIRE_NEEDS_OPENSSL)
    find_package(OpenSSL REQUIRED)
    list(INSERT static_links 0 OpenSSL::SSL OpenSSL::Crypto)
endif()
set_target_properties(heartwire::static PROPERTIES
    IMPORTED_LOCATION "${made}/${static_file}"
    INTERFACE_LINK_LIBRARIES "${static_links}")

# Whatever links one of them waits for cargo.
foreach(library heartwire::heartwire heartwire::static)
    set_target_properties(${library} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/include")
    add_dependencies(${library} heartwire_cargo)
endforeach()
