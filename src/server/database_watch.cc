#include "server/database_watch.h"

#include <utility>

namespace samtale {
namespace {

constexpr auto kBetweenLooksAtSettings = std::chrono::seconds(60);

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Result<std::size_t> DatabaseWatch::step() {
  SAMTALE_TRY(const auto look, parts_.look_back());
  for (const auto& news : look.news) parts_.has_news(news);
  const auto& history = look.stats;
  if (history.failovers != failovers_) {
    log_.warn("store.failover", {{"timeline", std::to_string(history.timeline)}});
    parts_.has_failed_over();
    settings_seen_.reset();
  }
  if (history.lost_writes != lost_writes_) {
    log_.error("store.lost_commits",
               {{"writes", std::to_string(history.lost_writes - lost_writes_)},
                {"what",
                 "the database has gone back: it lacks the last writes. Accepted events are "
                 "given their effect again from the servers' logs; deletions, keys and settings "
                 "of the last moments before are lost, and must be made again"}});
  }
  failovers_ = history.failovers;
  lost_writes_ = history.lost_writes;
  const auto now = clock_.now();
  if (settings_seen_ && now - *settings_seen_ < kBetweenLooksAtSettings) return 0;
  SAMTALE_TRY_VOID(look_at_settings());
  settings_seen_ = now;
  return 0;
}

Result<> DatabaseWatch::look_at_settings() {
  SAMTALE_TRY(auto settings, parts_.unsafe_settings());
  is_durable_ = settings.empty();
  if (settings == unsafe_settings_) return {};
  unsafe_settings_ = std::move(settings);
  if (unsafe_settings_.empty()) {
    log_.info("store.durable", {});
  } else {
    log_.error("store.not_durable",
               {{"settings", joined(unsafe_settings_)},
                {"what",
                 "a loss of power of the database's machine loses or damages what it has "
                 "confirmed"}});
  }
  return {};
}

}  // namespace samtale
