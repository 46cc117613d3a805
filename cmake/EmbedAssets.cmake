# cmake -DDIST=folder -DOUT=file.cc -P EmbedAssets.cmake: writes the dashboard's files as arrays.
set(types html "text/html\; charset=utf-8" js "text/javascript\; charset=utf-8"
  css "text/css\; charset=utf-8" svg "image/svg+xml")
set(arrays "")
set(entries "")
file(GLOB files "${DIST}/*.html" "${DIST}/*.js" "${DIST}/*.css" "${DIST}/*.svg")
list(SORT files)
set(number 0)
foreach(file ${files})
  get_filename_component(name "${file}" NAME)
  get_filename_component(extension "${file}" LAST_EXT)
  string(SUBSTRING "${extension}" 1 -1 extension)
  list(FIND types "${extension}" place)
  math(EXPR place "${place} + 1")
  list(GET types ${place} type)
  if(name STREQUAL "index.html")
    set(path "/index.html")
  else()
    set(path "/assets/${name}")
  endif()
  file(READ "${file}" bytes HEX)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
  string(APPEND arrays "constexpr char kFile${number}[] = {${bytes}'\\0'};\n")
  string(APPEND entries
    "      {\"${path}\", \"${type}\", {kFile${number}, sizeof kFile${number} - 1}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUT}" "#include \"server/app.h\"

namespace samtale {
namespace {

${arrays}
}  // namespace

std::vector<Asset> dashboard_assets() {
  return {
${entries}  };
}

}  // namespace samtale
")
