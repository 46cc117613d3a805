#include "cli/eval.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <ostream>

#include "cli/context.h"
#include "cli/records.h"

namespace samtale::cli {

QueryScore score_query(std::span<const std::string> ranked, const std::set<std::string>& relevant) {
  QueryScore score;
  if (relevant.empty()) return score;
  std::set<std::string> found;
  for (std::size_t i = 0; i < std::min(ranked.size(), kEvalDepth); ++i) {
    if (!relevant.contains(ranked[i]) || !found.insert(ranked[i]).second) continue;
    if (found.size() == 1) score.reciprocal_rank = 1.0 / static_cast<double>(i + 1);
  }
  score.recall = static_cast<double>(found.size()) / static_cast<double>(relevant.size());
  return score;
}

namespace {

struct JudgedQuery {
  std::string text;
  std::string company;
  std::string type;
  std::set<std::string> relevant;
};

constexpr std::size_t kLineBytesMax = std::size_t{1} << 20;

Result<JudgedQuery> read_query(const std::string& line) {
  SAMTALE_TRY(const auto value, json::parse(line));
  JudgedQuery query;
  query.text = text_at(value, "query");
  query.company = text_at(value, "company_id");
  query.type = text_at(value, "type");
  if (query.type.empty()) query.type = text_at(value, "about");
  for (const auto& id : array_at(value, "relevant_ids")) {
    if (id.as_string() != nullptr) query.relevant.insert(*id.as_string());
  }
  if (query.text.empty()) return fail(ErrorCode::invalid_argument, "/query: must be a text");
  if (query.relevant.empty()) {
    return fail(ErrorCode::invalid_argument, "/relevant_ids: must hold the id of a conversation");
  }
  return query;
}

Result<> read_file(Screen& screen, const std::string& name, std::vector<JudgedQuery>& queries) {
  std::ifstream file;
  if (name != "-") file.open(name, std::ios::binary);
  if (!file) return fail(ErrorCode::not_found, plain(name) + ": " + std::strerror(errno));
  const auto bytes = decompressed(name == "-" ? screen.in : file);
  RecordReader reader(*bytes, kLineBytesMax);
  while (true) {
    SAMTALE_TRY(const auto record, reader.next());
    if (!record) return {};
    auto query = read_query(record->text);
    if (!query) {
      return std::unexpected(
          std::move(query).error().during(plain(name) + ":" + std::to_string(record->line)));
    }
    queries.push_back(std::move(*query));
  }
}

Result<std::vector<std::string>> modes_of(const Arguments& arguments) {
  std::vector<std::string> modes;
  std::string text = arguments.text("--modes", "keyword,vector,hybrid") + ",";
  for (std::size_t at = text.find(','); at != std::string::npos; at = text.find(',')) {
    modes.push_back(text.substr(0, at));
    text.erase(0, at + 1);
    const auto& mode = modes.back();
    if (mode != "keyword" && mode != "vector" && mode != "hybrid") {
      return usage("--modes: must list keyword, vector or hybrid; got " + plain(mode));
    }
  }
  return modes;
}

using Scores = std::map<std::string, std::map<std::string, MeanScore>>;  // By mode and type.
constexpr const char* kAll = "all";

class Evaluation {
 public:
  Evaluation(const Api& api, Screen& screen) : api_(api), screen_(screen) {}

  void run(const std::string& mode, std::span<const JudgedQuery> queries) {
    Progress progress(screen_, mode, queries.size());
    for (std::size_t done = 0; done < queries.size();) {
      const auto some = same_company(queries.subspan(done));
      const auto answers = ask(some, mode);
      for (std::size_t i = 0; i < some.size(); ++i) {
        score(mode, some[i], answers ? ranked(*answers, i) : std::unexpected(answers.error()));
      }
      done += some.size();
      progress.update(done, std::to_string(done) + " queries");
    }
  }

  [[nodiscard]] const Scores& scores() const { return scores_; }
  [[nodiscard]] const std::string& first_failure() const { return first_failure_; }

 private:
  using Ranked = Result<std::vector<std::string>>;

  // The first of them: as many as go into one request.
  static std::span<const JudgedQuery> same_company(std::span<const JudgedQuery> queries) {
    constexpr std::size_t kAtOnce = 20;
    std::size_t count = 1;
    while (count < std::min(kAtOnce, queries.size()) &&
           queries[count].company == queries.front().company) {
      ++count;
    }
    return queries.first(count);
  }

  [[nodiscard]] Result<json::Value> ask(std::span<const JudgedQuery> queries,
                                        const std::string& mode) const {
    json::Array searches;
    for (const auto& query : queries) {
      searches.emplace_back(
          json::Object{{"query", query.text}, {"mode", mode}, {"limit", kEvalDepth}});
    }
    return api_.post("/v1/search/batch", queries.front().company,
                     {{"searches", std::move(searches)}});
  }

  static Ranked ranked(const json::Value& answers, std::size_t place) {
    const auto& all = array_at(answers, "answers");
    const auto* body = place < all.size() ? all[place].find("body") : nullptr;
    if (body == nullptr) return fail(ErrorCode::unavailable, "the server did not answer all");
    if (body->find("hits") == nullptr) {
      return fail(ErrorCode::unavailable, text_at(*body, "message"));
    }
    std::vector<std::string> ids;
    for (const auto& hit : array_at(*body, "hits")) ids.push_back(text_at(hit, "external_id"));
    return ids;
  }

  void score(const std::string& mode, const JudgedQuery& query, const Ranked& ranked) {
    const auto score = ranked ? score_query(*ranked, query.relevant) : QueryScore();
    for (const auto& type : {std::string(kAll), query.type}) {
      if (type.empty()) continue;
      auto& mean = scores_[mode][type];
      mean.add(score);
      if (!ranked) ++mean.failed;
    }
    if (!ranked && first_failure_.empty()) first_failure_ = ranked.error().message;
  }

  const Api& api_;
  Screen& screen_;
  Scores scores_;
  std::string first_failure_;
};

std::string three(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

json::Value to_json(const Scores& scores) {
  json::Object modes;
  for (const auto& [mode, types] : scores) {
    json::Object list;
    for (const auto& [type, mean] : types) {
      list.emplace_back(type, json::Object{{"queries", mean.queries},
                                           {"mrr_at_10", mean.mean_reciprocal_rank()},
                                           {"recall_at_10", mean.mean_recall()},
                                           {"failed", mean.failed}});
    }
    modes.emplace_back(mode, std::move(list));
  }
  return modes;
}

std::string to_table(const Scores& scores) {
  Table table({"MODE", "TYPE", "QUERIES", "MRR@10", "RECALL@10"});
  for (const auto& [mode, types] : scores) {
    for (const auto& [type, mean] : types) {
      table.add({mode, type, std::to_string(mean.queries), three(mean.mean_reciprocal_rank()),
                 three(mean.mean_recall())});
    }
  }
  return table.text();
}

}  // namespace

Result<int> evaluate(Context& context, const Arguments& arguments) {
  auto& screen = context.screen();
  SAMTALE_TRY(const auto modes, modes_of(arguments));
  std::vector<JudgedQuery> queries;
  for (const auto& name : arguments.words()) {
    SAMTALE_TRY_VOID(read_file(screen, name, queries));
  }
  if (arguments.has("--limit")) {
    const auto limit = static_cast<std::size_t>(arguments.number("--limit", 1));
    queries.resize(std::min(queries.size(), limit));
  }
  SAMTALE_TRY(const auto* const api, context.api(true));
  for (auto& query : queries) {
    if (arguments.has("--company")) query.company = arguments.text("--company");
    if (query.company.empty()) {
      SAMTALE_TRY(query.company, context.company());
    }
  }
  Evaluation evaluation(*api, screen);
  for (const auto& mode : modes) evaluation.run(mode, queries);
  if (context.wants_json()) {
    context.print(json::Object{{"modes", to_json(evaluation.scores())}});
  } else {
    screen.out << to_table(evaluation.scores());
  }
  if (evaluation.first_failure().empty()) return 0;
  return fail(ErrorCode::unavailable, "not every query was answered; the first that was not: " +
                                          evaluation.first_failure());
}

}  // namespace samtale::cli
