// Rooms: base embed graph index json model simd sys text
// Searches by meaning in one large company, beside other libraries on the same vectors.
//
// Method: each library in a process of its own, pinned to the same core, asked in turn; medians of
// several rounds. Speed is queries by the CPU time of the searching thread, so that other load on
// the machine matters less; latencies are by the clock. Recall@10 against brute force. Ours chooses
// its own effort for a recall target; a peer is given the least ef that finds as much.
#include <array>
#include <map>
#include <optional>
#include <string_view>

#include "base/huge_pages.h"
#include "data_folder.h"
#include "index/company_index.h"
#include "json/json.h"
#include "vector_companies.h"
#include "vector_contender.h"
#include "vector_data.h"
#include "vector_mixed.h"
#include "vector_peers.h"

namespace samtale {
namespace {

constexpr auto kUsage =
    R"(vector_bench [--base X.fbin --queries Q.fbin [--truth T.ibin]] [--metric cosine]
             [--vectors 100000] [--dimension 384] [--latent 96]
             [--runs recall,exact,filter,cores,mixed,companies] [--peers hnswlib,usearch,faiss] [--rounds 3]
             [--json]
             [--searches 200] [--puts 1000] [--removes 200] [--window 10] [--windows 8]
             [--companies 100000] [--chunks 500000]

Searches by meaning, beside hnswlib, USearch and FAISS on the same vectors in the same run.

--base, --queries   little-endian: int32 rows, int32 columns, row-major float32; without them
                    vectors are made: --vectors of --dimension, clustered in --latent dimensions
--truth             int32 rows of the nearest of each query; without it brute force finds them
--metric            cosine, which is what Samtale compares by
--runs recall       queries a second at a recall, time and memory of the making
       exact        searches that miss nothing, against reading their codes once
       filter       a part of the vectors allowed: 50, 10, 1 and .1 percent of them
       cores        one core and two, which search together, by the clock
       mixed        searches of two thirds of the vectors while the others come, some change, some
                    go, and the graph grows and is made anew; without peers
       companies    --companies of Zipf sizes, with --chunks in all: their memory, first searches,
                    and searches beside a busy one
--searches, --puts, --removes   of mixed and companies, each second
--window            seconds that these tell of together
--windows           of mixed, with changes
--peers             those beside it; FAISS as Debian has it takes three times as long to make;
                    memory: Samtale with no file, all of it in memory
--rounds            of which medians are told
--json              one JSON object instead of a table
)";

constexpr std::array kTargets = {0.90, 0.95, 0.99};
constexpr std::size_t kEffortMax = 1'300;

class Ours final : public Library {
 public:
  // 0: exact. One conversation a vector; its time is its row.
  Ours(const VectorData& data, double target, bool has_disk = true)
      : data_(data),
        is_exact_(target == 0),
        disk_(data.dimension),
        index_(make_company_index(
            data.dimension,
            {.graph_from = is_exact_ ? 0 : std::size_t{1'000}, .recall_target = target},
            {.folder = has_disk ? disk_.segments() : nullptr, .company = CompanyId{1}})) {
    for (std::size_t i = 0; i < data.size(); ++i) {
      const IndexChunk chunks[] = {{0, "", data.vector(i)}};
      const auto id = make_conversation_id(CompanyId{1}, "bench", std::to_string(i));
      const WallTime row{std::chrono::microseconds(i)};
      if (!index_->put(id, {.time = row}, chunks)) refuse("the index takes every vector");
    }
    if (!is_exact_) prepare();
  }

  void search(std::size_t query, std::size_t, Allowed allowed,
              std::vector<float>& scores) override {
    ConversationFilter filter;
    if (allowed.rows != nullptr) {
      filter = [rows = allowed.rows](const Attributes& attributes) {
        const auto row = std::chrono::duration_cast<std::chrono::microseconds>(
            attributes.time.time_since_epoch());
        return (*rows)[static_cast<std::size_t>(row.count())] != 0;
      };
    }
    const auto near = index_->nearest(data_.query(query), kWanted, filter, is_exact_);
    scores.clear();
    for (const auto& hit : near->hits) scores.push_back(hit.score);
  }
  // It measures its own recall by the queries it has seen.
  void prepare() override {
    if (!is_exact_ && !index_->maintain({})) refuse("the graph is made");
  }
  [[nodiscard]] double bytes() const override {
    return static_cast<double>(index_->size().bytes) / static_cast<double>(data_.size());
  }

 private:
  const VectorData& data_;
  const bool is_exact_;
  const DataFolder disk_;
  std::unique_ptr<CompanyIndex> index_;
};

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

Measured median_of(const std::vector<Measured>& rounds) {
  const auto by = [&](double Measured::*member) {
    std::vector<double> values;
    for (const auto& round : rounds) values.push_back(round.*member);
    return median(std::move(values));
  };
  return {.recall = by(&Measured::recall),
          .per_second = by(&Measured::per_second),
          .p50_us = by(&Measured::p50_us),
          .p99_us = by(&Measured::p99_us)};
}

double rounded(double value, double parts) { return std::round(value * parts) / parts; }

json::Object told(const Measured& measured) {
  return {{"recall", rounded(measured.recall, 1e4)},
          {"queries_per_s", std::round(measured.per_second)},
          {"p50_us", rounded(measured.p50_us, 10)},
          {"p99_us", rounded(measured.p99_us, 10)}};
}

std::vector<std::size_t> all_queries(const VectorData& data) {
  std::vector<std::size_t> all(data.query_count());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

// The least ef (within a tenth) with which the peer finds as much; none if it never does.
std::optional<std::size_t> effort_for(const Contender& peer, double recall) {
  const auto finds = [&](std::size_t effort) {
    return peer.run({.effort = effort}).recall >= recall;
  };
  std::size_t enough = kWanted;
  while (!finds(enough)) {
    enough *= 2;
    if (enough > kEffortMax) return std::nullopt;
  }
  auto too_little = enough / 2;
  while (enough - too_little > enough / 10) {
    const auto middle = (enough + too_little) / 2;
    (finds(middle) ? enough : too_little) = middle;
  }
  return enough;
}

json::Object told(const Contender& contender, const VectorData& data) {
  const auto& built = contender.built();
  const auto rows = static_cast<double>(data.size());
  json::Object object = {{"library", contender.name()},
                         {"made_in_cpu_s", rounded(built.cpu_s, 10)},
                         {"vectors_per_cpu_s", std::round(rows / built.cpu_s)},
                         {"memory_mib", std::round(built.grown_mib)},
                         {"bytes_a_vector", std::round(built.grown_mib * (1 << 20) / rows)},
                         {"mapped_bytes", std::round(built.mapped_mib * (1 << 20) / rows)}};
  if (built.bytes > 0) object.emplace_back("bytes_as_it_says", std::round(built.bytes));
  return object;
}

class Bench {
 public:
  Bench(const VectorData& data, std::vector<float> tenths, int rounds, std::string peers)
      : data_(data), rounds_(rounds), peer_names_(std::move(peers)) {
    truths_.tenths.push_back(std::move(tenths));
    truths_.queries.push_back(all_queries(data));
  }

  json::Array made() const { return made_; }
  json::Array recall();
  json::Array exact() const;
  json::Array filter();
  json::Array cores();
  // Before the others, which then see them.
  void add_filters();

 private:
  void make_contenders();
  json::Array beside_peers(std::size_t target);
  json::Object cell(int filter, const std::string& name, double share);

  const VectorData& data_;
  const int rounds_;
  const std::string peer_names_;
  Truths truths_;
  std::vector<std::pair<std::string, double>> filters_;
  std::vector<std::unique_ptr<Contender>> ours_;       // One a target.
  std::vector<std::unique_ptr<Contender>> in_memory_;  // The same, if they are asked for.
  std::vector<std::unique_ptr<Contender>> peers_;
  json::Array made_;
};

void Bench::make_contenders() {
  if (!ours_.empty()) return;
  const auto add = [&](auto& to, const std::string& name, const MakeLibrary& make) {
    std::fprintf(stderr, "making %s\n", name.c_str());
    to.push_back(std::make_unique<Contender>(name, data_, truths_, make));
    made_.push_back(told(*to.back(), data_));
  };
  if (peer_names_.contains("hnswlib")) {
    add(peers_, "hnswlib", [](const VectorData& data) { return std::make_unique<Hnswlib>(data); });
  }
  if (peer_names_.contains("usearch")) {
    add(peers_, "usearch", [](const VectorData& data) { return std::make_unique<Usearch>(data); });
  }
  if (peer_names_.contains("faiss")) {
    add(peers_, "faiss hnsw", [](const VectorData& data) { return std::make_unique<Faiss>(data); });
  }
  for (const auto target : kTargets) {
    char name[32];
    std::snprintf(name, sizeof name, "samtale for %.2f", target);
    add(ours_, name,
        [target](const VectorData& data) { return std::make_unique<Ours>(data, target); });
    if (!peer_names_.contains("memory")) continue;
    add(in_memory_, std::string(name) + " in memory",
        [target](const VectorData& data) { return std::make_unique<Ours>(data, target, false); });
  }
}

json::Array Bench::beside_peers(std::size_t target) {
  const auto& ours = *ours_[target];
  // Twice: it widens its view by what it has measured.
  for (int i = 0; i < 2; ++i) static_cast<void>(ours.run({.prepare = 1}));
  const auto recall = ours.run({}).recall;
  std::vector<const Contender*> peers;
  std::vector<Measured> mine;
  std::map<const Contender*, std::vector<Measured>> theirs;
  std::map<const Contender*, std::size_t> efforts;
  for (const auto& peer : peers_) {
    peers.push_back(peer.get());
    if (const auto effort = effort_for(*peer, recall)) efforts[peer.get()] = *effort;
  }
  if (!in_memory_.empty()) {
    peers.push_back(in_memory_[target].get());
    for (int i = 0; i < 2; ++i) static_cast<void>(peers.back()->run({.prepare = 1}));
    efforts[peers.back()] = 0;
  }
  for (int i = 0; i < rounds_; ++i) {
    mine.push_back(ours.run({}));
    for (const auto& [peer, effort] : efforts) {
      theirs[peer].push_back(peer->run({.effort = effort}));
    }
  }
  auto line = told(median_of(mine));
  line.insert(line.begin(), {{"library", ours.name()}, {"target", kTargets[target]}});
  json::Array lines = {json::Value(line)};
  for (const auto* peer : peers) {
    json::Object other = {{"library", peer->name()}};
    if (!efforts.contains(peer)) {
      other.emplace_back("ef", "never finds as much");
    } else {
      const auto& rounds = theirs[peer];
      other.emplace_back("ef", efforts[peer]);
      for (auto& member : told(median_of(rounds))) other.push_back(std::move(member));
      std::vector<double> ratios;
      for (std::size_t i = 0; i < rounds.size(); ++i) {
        ratios.push_back(mine[i].per_second / rounds[i].per_second);
      }
      other.emplace_back("samtale_is_times_as_fast", rounded(median(ratios), 100));
    }
    lines.emplace_back(std::move(other));
  }
  return lines;
}

json::Array Bench::recall() {
  make_contenders();
  json::Array lines;
  for (std::size_t i = 0; i < ours_.size(); ++i) {
    for (auto& line : beside_peers(i)) lines.push_back(std::move(line));
  }
  return lines;
}

// How long it takes to read so many bytes once, as fast as one core does.
double read_us(const HugeVector<std::uint64_t>& words) {
  const auto begin = wall_us();
  std::array<std::uint64_t, 8> sums{};
  constexpr std::size_t kAhead = 256;  // Without, it is a fifth slower.
  for (std::size_t i = 0; i + sums.size() <= words.size(); i += sums.size()) {
    __builtin_prefetch(words.data() + i + kAhead);
    for (std::size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += words[i + lane];
  }
  const auto took = wall_us() - begin;
  volatile std::uint64_t kept = 0;
  for (const auto sum : sums) kept = kept + sum;
  return took;
}

json::Array Bench::exact() const {
  json::Array lines;
  for (const std::size_t size : {1'000, 10'000, 50'000, 100'000}) {
    if (size > data_.size()) break;
    VectorData part = {
        .name = data_.name,
        .dimension = data_.dimension,
        .vectors = {data_.vectors.begin(),
                    data_.vectors.begin() + static_cast<std::ptrdiff_t>(size * data_.dimension)},
        .queries = data_.queries};
    Truths truths;
    truths.tenths.push_back(tenth_scores(part));
    truths.queries.push_back(all_queries(part));
    const Contender ours("samtale, exact", part, truths,
                         [](const VectorData& data) { return std::make_unique<Ours>(data, 0); });
    // A byte a dimension, and half of one where these are more than the caches hold.
    const auto bytes = size * data_.dimension;
    const HugeVector<std::uint64_t> codes(
        bytes / (bytes < (1 << 20) ? 1 : 2) / sizeof(std::uint64_t), 1);
    std::vector<Measured> rounds;
    std::vector<double> reads;
    for (int i = 0; i < rounds_; ++i) {
      rounds.push_back(ours.run({}));
      for (int j = 0; j < 20; ++j) reads.push_back(read_us(codes));
    }
    const auto measured = median_of(rounds);
    json::Object line = {{"vectors", size}};
    for (auto& member : told(measured)) line.push_back(std::move(member));
    line.emplace_back("codes_read_in_us", rounded(median(reads), 10));
    line.emplace_back("of_the_floor", rounded(median(reads) / measured.p50_us, 100));
    lines.emplace_back(std::move(line));
  }
  return lines;
}

// Which vectors pass: any; those that lie furthest in one direction, asked by queries that lie
// there too; and the same asked by those that lie furthest from it.
void Bench::add_filters() {
  constexpr std::array kShares = {0.5, 0.1, 0.01, 0.001};
  std::mt19937_64 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> direction(data_.dimension);
  for (auto& value : direction) value = normal(random);
  const auto along = [&](std::span<const float> vector) { return dot(vector, direction); };
  std::vector<std::pair<float, std::size_t>> rows;
  for (std::size_t i = 0; i < data_.size(); ++i) rows.emplace_back(-along(data_.vector(i)), i);
  auto shuffled = rows;
  std::ranges::sort(rows);
  std::ranges::shuffle(shuffled, random);
  std::vector<std::pair<float, std::size_t>> queries;
  for (std::size_t q = 0; q < data_.query_count(); ++q) {
    queries.emplace_back(-along(data_.query(q)), q);
  }
  std::ranges::sort(queries);
  const auto some = std::max<std::size_t>(1, queries.size() / 5);
  for (const auto* kind : {"random", "correlated", "anti-correlated"}) {
    const bool is_random = std::string_view(kind) == "random";
    const bool is_anti = std::string_view(kind) == "anti-correlated";
    for (const auto share : kShares) {
      const auto count = static_cast<std::size_t>(share * static_cast<double>(data_.size()));
      if (count < kWanted) continue;
      std::vector<char> allowed(data_.size());
      for (std::size_t i = 0; i < count; ++i) {
        allowed[(is_random ? shuffled : rows)[i].second] = 1;
      }
      std::vector<std::size_t> asked;
      for (std::size_t i = 0; i < some; ++i) {
        asked.push_back(queries[is_anti ? queries.size() - 1 - i : i].second);
      }
      VectorData part = {.name = "", .dimension = data_.dimension, .vectors = {}, .queries = {}};
      for (const auto q : asked) {
        const auto query = data_.query(q);
        part.queries.insert(part.queries.end(), query.begin(), query.end());
      }
      for (std::size_t i = 0; i < data_.size(); ++i) {
        if (allowed[i] == 0) continue;
        const auto vector = data_.vector(i);
        part.vectors.insert(part.vectors.end(), vector.begin(), vector.end());
      }
      truths_.tenths.push_back(tenth_scores(part));
      truths_.queries.push_back(std::move(asked));
      truths_.allowed.push_back(std::move(allowed));
      filters_.emplace_back(kind, share);
    }
  }
}

json::Object Bench::cell(int filter, const std::string& name, double share) {
  const Round round{.tenths = filter + 1, .allowed = filter};
  const auto& ours = *ours_[1];  // For .95.
  std::vector<Measured> mine;
  for (int i = 0; i < rounds_; ++i) mine.push_back(ours.run(round));
  json::Object line = {{"filter", name}, {"share", share}};
  for (auto& member : told(median_of(mine))) line.push_back(std::move(member));
  // At a fixed effort: behind a filter more of it often does not help.
  auto theirs = round;
  theirs.effort = 128;
  for (const auto& peer : peers_) {
    if (peer->name() == "hnswlib") continue;  // Debian's 0.6.2 has no filters.
    const auto measured = peer->run(theirs);
    line.emplace_back(peer->name() + " ef 128 recall", rounded(measured.recall, 1e4));
    line.emplace_back("queries_per_s", std::round(measured.per_second));
  }
  return line;
}

json::Array Bench::filter() {
  json::Array lines;
  for (std::size_t i = 0; i < filters_.size(); ++i) {
    lines.emplace_back(cell(static_cast<int>(i), filters_[i].first, filters_[i].second));
  }
  return lines;
}

json::Array Bench::cores() {
  make_contenders();
  const Contender exact("samtale, exact", data_, truths_,
                        [](const VectorData& data) { return std::make_unique<Ours>(data, 0); });
  std::vector<const Contender*> all{&exact};
  for (const auto& ours : ours_) {
    for (int i = 0; i < 2; ++i) static_cast<void>(ours->run({.prepare = 1}));
    all.push_back(ours.get());
  }
  json::Array lines;
  for (const auto* contender : all) {
    std::vector<double> of_one;
    std::vector<double> of_two;
    std::vector<double> ratios;
    for (int i = 0; i < rounds_; ++i) {
      of_one.push_back(contender->run({.cores = 1}).per_second);
      of_two.push_back(contender->run({.cores = 2}).per_second);
      ratios.push_back(of_two.back() / of_one.back());
    }
    lines.emplace_back(json::Object{{"library", contender->name()},
                                    {"one_core_queries_per_s", std::round(median(of_one))},
                                    {"two_cores_queries_per_s", std::round(median(of_two))},
                                    {"times", rounded(median(ratios), 100)}});
  }
  return lines;
}

void print_table(const json::Value& result) {
  for (const auto& [name, value] : *result.as_object()) {
    const auto* lines = value.as_array();
    if (lines == nullptr) {
      std::printf("%s: %s\n", name.c_str(), json::dump(value).c_str());
      continue;
    }
    std::printf("\n%s\n", name.c_str());
    for (const auto& line : *lines) {
      for (const auto& [key, one] : *line.as_object()) {
        const auto* text = one.as_string();
        std::printf("  %s %-9s", key.c_str(), (text ? *text : json::dump(one)).c_str());
      }
      std::printf("\n");
    }
  }
}

struct Settings {
  std::map<std::string, std::string> values = {{"--vectors", "100000"},
                                               {"--dimension", "384"},
                                               {"--latent", "96"},
                                               {"--metric", "cosine"},
                                               {"--rounds", "3"},
                                               {"--searches", "200"},
                                               {"--puts", "1000"},
                                               {"--removes", "200"},
                                               {"--window", "10"},
                                               {"--windows", "8"},
                                               {"--companies", "100000"},
                                               {"--chunks", "500000"},
                                               {"--runs", "recall,exact,filter"},
                                               {"--peers", "hnswlib,usearch,faiss"},
                                               {"--base", ""},
                                               {"--queries", ""},
                                               {"--truth", ""}};
  bool is_json = false;

  [[nodiscard]] const std::string& text(const char* name) const { return values.at(name); }
  [[nodiscard]] std::size_t number(const char* name) const {
    const auto value = std::strtoull(text(name).c_str(), nullptr, 10);
    if (value == 0) refuse(std::string(name) + " needs a number above 0");
    return value;
  }
  [[nodiscard]] bool runs(std::string_view run) const {
    return text("--runs").find(run) != std::string::npos;
  }
};

Settings read_settings(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") {
      std::printf("%s", kUsage);
      std::exit(0);
    }
    if (name == "--json") {
      settings.is_json = true;
    } else if (settings.values.contains(name) && i + 1 < argc) {
      settings.values[name] = argv[++i];
    } else {
      refuse("what is '" + name + "'? See --help");
    }
  }
  if (settings.text("--metric") != "cosine") refuse("--metric: only cosine");
  if (settings.text("--base").empty() != settings.text("--queries").empty()) {
    refuse("--base and --queries come together");
  }
  return settings;
}

void compare(const Settings& settings, const VectorData& data, json::Object& result) {
  std::fprintf(stderr, "looking for the true nearest\n");
  auto tenths = settings.text("--truth").empty() ? tenth_scores(data)
                                                 : tenth_scores(data, settings.text("--truth"));
  Bench bench(data, std::move(tenths), static_cast<int>(settings.number("--rounds")),
              settings.text("--peers"));
  if (settings.runs("filter")) bench.add_filters();
  if (settings.runs("exact")) result.emplace_back("exact", bench.exact());
  if (settings.runs("recall") || settings.runs("filter")) {
    auto recall = bench.recall();
    result.emplace_back("made", bench.made());
    result.emplace_back("recall", std::move(recall));
  }
  if (settings.runs("filter")) result.emplace_back("filter", bench.filter());
  if (settings.runs("cores")) result.emplace_back("cores", bench.cores());
}

json::Value measure(const Settings& settings) {
  const auto data = settings.text("--base").empty()
                        ? make_vectors(settings.number("--vectors"), settings.number("--dimension"),
                                       settings.number("--latent"))
                        : read_vectors(settings.text("--base"), settings.text("--queries"));
  json::Object result = {{"data", data.name},
                         {"vectors", data.size()},
                         {"dimension", data.dimension},
                         {"queries", data.query_count()},
                         {"instructions", distance_kernels().name}};
  if (settings.runs("recall") || settings.runs("exact") || settings.runs("filter") ||
      settings.runs("cores")) {
    compare(settings, data, result);
  }
  if (settings.runs("mixed")) {
    result.emplace_back("mixed", MixedLoad(data, {.searches_per_s = settings.number("--searches"),
                                                  .puts_per_s = settings.number("--puts"),
                                                  .removes_per_s = settings.number("--removes"),
                                                  .window_s = settings.number("--window"),
                                                  .windows = settings.number("--windows")})
                                     .run());
  }
  if (settings.runs("companies")) {
    result.emplace_back("companies",
                        ManyCompanies(data, {.companies = settings.number("--companies"),
                                             .chunks = settings.number("--chunks"),
                                             .searches_per_s = settings.number("--searches"),
                                             .window_s = settings.number("--window")})
                            .run());
  }
  return result;
}

}  // namespace
}  // namespace samtale

int main(int argc, char** argv) {
  const auto settings = samtale::read_settings(argc, argv);
  const auto result = samtale::measure(settings);
  if (settings.is_json) {
    std::printf("%s\n", samtale::json::dump(result).c_str());
  } else {
    samtale::print_table(result);
  }
}
