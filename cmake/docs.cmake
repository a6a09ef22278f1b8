# docs/language.md is made from its .in file and the op table: `ninja docs`. A test fails where it is out of date.
add_executable(docs_tables docs/tables.c)
target_link_libraries(docs_tables PRIVATE dlc_ir)
add_custom_target(docs
  COMMAND docs_tables ${PROJECT_SOURCE_DIR}/docs/language.md.in > ${CMAKE_BINARY_DIR}/language.md
  COMMAND ${CMAKE_COMMAND} -E copy_if_different ${CMAKE_BINARY_DIR}/language.md ${PROJECT_SOURCE_DIR}/docs/language.md
  VERBATIM)
