#include "embed/builtin_embedder.h"
#include "embed/managed_embedder.h"
#include "embed/openai_embedder.h"
#include "server/app.h"
#include "server/options.h"

namespace samtale {

Result<MadeEmbedder> make_embedder(const Config& config, HttpClient& http_client, Clock& clock,
                                   Random& random, Log& log) {
  const auto always = [] { return true; };
  if (config.embed.kind == "builtin") {
    return MadeEmbedder{std::make_unique<BuiltinEmbedder>(), {}, always};
  }
  if (config.embed.kind == "openai") {
    SAMTALE_TRY(auto options, embedding_server_options(config));
    SAMTALE_TRY(auto made, OpenAiEmbedder::make(http_client, clock, random, std::move(options),
                                                config.embed.timeout));
    return MadeEmbedder{std::move(made), {}, always};
  }
  SAMTALE_TRY(auto options, managed_embedder_options(config));
  SAMTALE_TRY(auto made,
              ManagedEmbedder::make(http_client, clock, random, log, std::move(options)));
  auto* const embedder = made.get();
  return MadeEmbedder{std::move(made),
                      [embedder](const std::stop_token& stop) { embedder->run(stop); },
                      [embedder] { return embedder->is_ready(); }};
}

}  // namespace samtale
