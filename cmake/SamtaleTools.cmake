# samtale_rooms_of(FILE OUT): the libraries a program of tests/ or bench/ links, from its line
# "// Rooms: a b c".
function(samtale_rooms_of file out)
  file(STRINGS ${file} lines REGEX "^// Rooms:" LIMIT_COUNT 1)
  if(NOT lines)
    message(FATAL_ERROR "${file} has no line \"// Rooms: …\" that names the rooms to link")
  endif()
  string(REGEX REPLACE "^// Rooms: *" "" names "${lines}")
  string(REPLACE " " ";" names "${names}")
  list(TRANSFORM names PREPEND samtale::)
  set(${out} ${names} PARENT_SCOPE)
endfunction()
