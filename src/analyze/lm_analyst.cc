#include "analyze/lm_analyst.h"

#include <algorithm>
#include <utility>

#include "analyze/evidence.h"
#include "analyze/finding.h"
#include "analyze/prompt.h"

namespace samtale {
namespace {

constexpr std::string_view kNote = "note ";

// Texts as people wrote them take the place of what stood for them.
void unmask(json::Value& value, const PiiMasker* masker) {
  if (masker != nullptr) unmask_strings(value, *masker);
}

// The same order of analyzers and groups for the same analyzers, so that requests repeat.
std::vector<std::vector<Analyzer>> group_by_model(const std::vector<Analyzer>& analyzers,
                                                  std::size_t group_max) {
  std::vector<std::vector<Analyzer>> groups;
  for (const auto& analyzer : analyzers) {
    const auto fits = [&](const std::vector<Analyzer>& group) {
      return group.front().model == analyzer.model && group.size() < group_max;
    };
    const auto found = std::ranges::find_if(groups, fits);
    if (found == groups.end()) {
      groups.push_back({analyzer});
    } else {
      found->push_back(analyzer);
    }
  }
  return groups;
}

std::vector<std::string> names_of(std::span<const Analyzer> analyzers) {
  std::vector<std::string> names;
  for (const auto& analyzer : analyzers) names.push_back(analyzer.name);
  return names;
}

// One analyzer's part of an answer, as people wrote what it quotes.
Result<json::Value> part_of(const json::Value& answer, const Analyzer& analyzer,
                            const PiiMasker* masker) {
  const auto* part = answer.find(analyzer.name);
  if (part == nullptr) {
    return fail(ErrorCode::corrupt, "the answer has no \"" + analyzer.name + "\"");
  }
  auto value = *part;
  unmask(value, masker);
  return value;
}

// As a line of the transcript, so that notes of notes read alike.
std::string note_line(std::int64_t turn, const std::string& quote, const std::string& says) {
  return std::string(kNote) + "[" + std::to_string(turn) + "] \"" + plain(quote).text + "\" " +
         plain(says).text;
}

}  // namespace

LmAnalyst::LmAnalyst(LmScheduler& scheduler, Store& store, const Clock& clock,
                     const LmAnalystOptions& options)
    : scheduler_(scheduler), store_(store), clock_(clock), options_(options) {}

std::vector<TranscriptLine> LmAnalyst::lines_of(const LmOrder& order) const {
  Mask mask;
  if (order.masker != nullptr) {
    mask = [masker = order.masker](std::string_view text) { return masker->mask(text); };
  }
  return make_transcript(*order.conversation, mask);
}

bool LmAnalyst::is_segmented(const LmOrder& order, std::int64_t tokens) const {
  if (tokens > options_.whole_tokens_max) return true;
  return order.goes_on && tokens > 2 * options_.segment_tokens;
}

Result<json::Value> LmAnalyst::ask(Session& session, ChatRequest request,
                                   std::span<const Analyzer> booked_on, Check check) const {
  const auto& order = session.order;
  LmTask task{.company = order.company,
              .analyzers = names_of(booked_on),
              .priority = order.priority,
              .wanted_by = order.wanted_by,
              .request = std::move(request),
              .check = std::move(check)};
  const auto digest = scheduler_.key_of(task);
  const std::string key(view(digest));
  session.findings.used_keys.push_back(key);
  SAMTALE_TRY(const auto stored, store_.find_lm_result(order.company, key));
  if (stored) return json::parse(*stored);
  if (session.rehearsal != nullptr) return (*session.rehearsal)(task, digest);

  auto outcome = scheduler_.run(task, session.deadline, session.stop);
  session.findings.tokens += outcome.usage.input + outcome.usage.output;
  const auto written =
      store_.write(store_.partition_of(order.company), [&](StoreWriter& writer) -> Result<> {
        if (outcome.answer) {
          SAMTALE_TRY_VOID(writer.put_lm_result(order.company, order.conversation->id, key,
                                                json::dump(*outcome.answer), clock_.wall_now()));
        }
        return writer.add_spend(order.company, outcome.spend);
      });
  if (!written) {
    auto error = written.error();
    error.code = ErrorCode::unavailable;
    return std::unexpected(std::move(error).during("store what the language model answered"));
  }
  return std::move(outcome.answer);
}

// Notes of the lines, each with a citation that holds. `lines` may be notes themselves.
Result<std::vector<TranscriptLine>> LmAnalyst::condense_one(
    Session& session, const std::vector<TranscriptLine>& lines, Segment segment) const {
  // By the server's model, whatever the analyzers name: so the notes serve them all.
  auto request = make_notes_request(join_lines(lines, segment));
  SAMTALE_TRY(auto answer, ask(session, std::move(request), session.order.analyzers, {}));
  // Held against the conversation as people read it, then masked again as its lines were.
  unmask(answer, session.order.masker);
  session.findings.dropped += hold_against(answer, *session.order.conversation).dropped;
  std::vector<TranscriptLine> notes;
  const auto* list = answer.find("notes");
  if (list == nullptr || list->as_array() == nullptr) return notes;
  for (const auto& note : *list->as_array()) {
    const auto turn = *note.find("turn")->as_int();
    const auto* says = note.find("says");
    auto line =
        note_line(turn, *note.find("quote")->as_string(),
                  says == nullptr || says->as_string() == nullptr ? "" : *says->as_string());
    if (session.order.masker != nullptr) line = session.order.masker->mask(line);
    notes.push_back({static_cast<std::uint32_t>(turn), std::move(line)});
  }
  std::ranges::stable_sort(notes, {}, &TranscriptLine::turn);
  return notes;
}

Result<std::vector<TranscriptLine>> LmAnalyst::condense(Session& session,
                                                        const std::vector<TranscriptLine>& lines,
                                                        std::span<const Segment> segments) const {
  std::vector<TranscriptLine> notes;
  Result<> all;
  for (const auto segment : segments) {
    auto some = condense_one(session, lines, segment);
    if (some) {
      std::ranges::move(*some, std::back_inserter(notes));
      continue;
    }
    all = std::unexpected(std::move(some).error());
    if (session.rehearsal == nullptr) break;  // Who rehearses wants to know all that is asked.
  }
  SAMTALE_TRY_VOID(std::move(all));
  return notes;
}

Result<LmAnalyst::Reading> LmAnalyst::read(Session& session,
                                           const std::vector<TranscriptLine>& lines) const {
  if (!is_segmented(session.order, count_tokens(lines))) {
    return Reading{join_lines(lines, {0, lines.size()}), false};
  }
  const auto segments = cut_segments(lines, options_.segment_tokens);
  SAMTALE_TRY(auto notes, condense(session, lines, std::span(segments).first(segments.size() - 1)));
  // Of a very long one, notes of notes, until they fit.
  while (count_tokens(notes) > options_.whole_tokens_max) {
    SAMTALE_TRY(auto shorter,
                condense(session, notes, cut_segments(notes, 4 * options_.segment_tokens)));
    if (count_tokens(shorter) >= count_tokens(notes)) break;
    notes = std::move(shorter);
  }
  return Reading{join_lines(notes, {0, notes.size()}) + join_lines(lines, segments.back()), true};
}

void LmAnalyst::conclude_group(Session& session, const Reading& reading,
                               std::span<const Analyzer> group) const {
  const auto& order = session.order;
  auto request = make_analysis_request(reading.text, reading.has_notes, group, order.language);
  request.model = group.front().model;
  // Worth a second try if there is nothing in it that anybody said.
  const auto holds = [&](const json::Value& candidate) -> Result<> {
    Result<> last;
    for (const auto& analyzer : group) {
      auto part = part_of(candidate, analyzer, order.masker);
      std::size_t dropped = 0;
      if (!part) {
        last = std::unexpected(part.error());
      } else if (auto done = conclude(analyzer, *std::move(part), *order.conversation, dropped)) {
        return {};
      } else {
        last = std::unexpected(done.error());
      }
    }
    return last;
  };
  const auto failed_before = session.findings.failed.size();
  auto answer = ask(session, std::move(request), group, holds);
  const auto key = session.findings.used_keys.back();
  if (!answer && group.size() > 1 && answer.error().code == ErrorCode::resource_exhausted) {
    // One of them may be over its own budget: the others go on without it.
    for (const auto& analyzer : group) {
      conclude_group(session, reading, {&analyzer, 1});
    }
    return;
  }
  for (const auto& analyzer : group) {
    auto analysis = [&]() -> Result<Analysis> {
      if (!answer) return std::unexpected(answer.error());
      SAMTALE_TRY(auto part, part_of(*answer, analyzer, order.masker));
      return conclude(analyzer, std::move(part), *order.conversation, session.findings.dropped);
    }();
    if (analysis) {
      session.findings.found.push_back({analyzer.name, analyzer.version, *std::move(analysis)});
    } else {
      session.findings.failed.push_back({analyzer.name, std::move(analysis).error()});
    }
  }
  // An answer that somebody tries again for is asked for again.
  const bool is_whole = session.findings.failed.size() == failed_before;
  if (answer && !is_whole) std::erase(session.findings.used_keys, key);
}

void LmAnalyst::run(Session& session) const {
  const auto& analyzers = session.order.analyzers;
  const auto lines = lines_of(session.order);
  if (lines.empty() || analyzers.empty()) return;
  const auto reading = read(session, lines);
  if (!reading) {
    for (const auto& analyzer : analyzers) {
      session.findings.failed.push_back({analyzer.name, reading.error()});
    }
    return;
  }
  // Back to back on one prefix.
  for (const auto& group : group_by_model(analyzers, options_.analyzers_per_request)) {
    conclude_group(session, *reading, group);
  }
}

LmFindings LmAnalyst::analyse(const LmOrder& order, Instant deadline,
                              const std::stop_token& stop) const {
  Session session{.order = order, .deadline = deadline, .stop = stop, .findings = {}};
  run(session);
  return std::move(session.findings);
}

void LmAnalyst::rehearse(const LmOrder& order, const Answer& answer) const {
  const std::stop_token never;
  Session session{.order = order,
                  .deadline = Instant::max(),
                  .stop = never,
                  .rehearsal = &answer,
                  .findings = {}};
  run(session);
}

std::int64_t LmAnalyst::estimate_tokens(const LmOrder& order) const {
  const auto lines = make_transcript(*order.conversation, {});
  if (lines.empty() || order.analyzers.empty()) return 0;
  const auto tokens = count_tokens(lines);
  std::int64_t sum = 0;
  std::int64_t read = tokens;
  if (is_segmented(order, tokens)) {
    // Notes are about a quarter of what they are of.
    constexpr std::int64_t kShorter = 4;
    const auto parts =
        static_cast<std::int64_t>(cut_segments(lines, options_.segment_tokens).size());
    sum += tokens + parts * estimate_input_tokens(make_notes_request(""));
    read = tokens / kShorter + options_.segment_tokens;
  }
  for (const auto& group : group_by_model(order.analyzers, options_.analyzers_per_request)) {
    sum += read + estimate_input_tokens(make_analysis_request("", false, group, order.language));
  }
  return sum;
}

}  // namespace samtale
