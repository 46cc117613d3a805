#include <fstream>
#include <iterator>

#include "embed/builtin_embedder.h"
#include "embed/managed_embedder.h"
#include "embed/openai_embedder.h"
#include "server/app.h"

namespace samtale {
namespace {

// The first line of the file; the configuration has checked that nobody else can read it.
Result<std::string> read_key(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path);
  std::string key;
  if (!std::getline(file, key)) {
    return fail(ErrorCode::invalid_argument, "embed.api_key_file: " + path + " has no first line");
  }
  return key;
}

Result<OpenAiEmbedderOptions> openai_options(const EmbedConfig& config) {
  OpenAiEmbedderOptions options;
  options.url = config.url;
  SAMTALE_TRY(options.key, read_key(config.api_key_file));
  options.model = config.model;
  options.dimension = config.dimension;
  options.batch_max = config.batch_max;
  options.query_prefix = config.query_prefix;
  options.passage_prefix = config.passage_prefix;
  options.input_type = config.input_type;
  return options;
}

}  // namespace

Result<MadeEmbedder> make_embedder(const Config& config, HttpClient& http_client, Clock& clock,
                                   Random& random, Log& log) {
  const auto always = [] { return true; };
  if (config.embed.kind == "builtin") {
    return MadeEmbedder{std::make_unique<BuiltinEmbedder>(), {}, always};
  }
  SAMTALE_TRY(auto options, openai_options(config.embed));
  if (config.embed.kind == "openai") {
    SAMTALE_TRY(auto made, OpenAiEmbedder::make(http_client, clock, random, std::move(options),
                                                config.embed.timeout));
    return MadeEmbedder{std::move(made), {}, always};
  }
  ManagedEmbedderOptions managed;
  managed.command = config.embed.command;
  managed.server = std::move(options);
  managed.log_path = config.data_dir + "/embedder.log";
  SAMTALE_TRY(auto made,
              ManagedEmbedder::make(http_client, clock, random, log, std::move(managed)));
  auto* const embedder = made.get();
  return MadeEmbedder{std::move(made),
                      [embedder](const std::stop_token& stop) { embedder->run(stop); },
                      [embedder] { return embedder->is_ready(); }};
}

}  // namespace samtale
