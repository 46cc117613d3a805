#include "analyze/backfill.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "analyze/batch_row.h"
#include "analyze/due.h"
#include "analyze/jobs.h"
#include "base/bytes.h"
#include "model/fields.h"

namespace samtale {
namespace {

constexpr std::size_t kPage = 200;
constexpr std::size_t kIdBytes = 10;
constexpr std::string_view kAskedFor = "bf_";  // What the ids of campaigns begin with.
constexpr std::string_view kScheduled = "sc_";
constexpr std::array kJobs{kAnalyzeJob, kLmBulkJob, kLmBatchJob};
constexpr auto kLookBack = std::chrono::hours(7 * 24);
constexpr std::int64_t kOutputTokensAnAnalysis = 200;

ConversationQuery query_of(const BackfillFilter& filter, std::size_t limit,
                           const std::string& cursor) {
  ConversationQuery query;
  query.limit = limit;
  query.cursor = cursor;
  query.from = filter.from;
  query.to = filter.to;
  query.channel = filter.channel;
  query.source = filter.source;
  return query;
}

// Those of the analyzers that look at such a conversation. Of those that wait for a time or a call,
// this is it.
std::vector<Analyzer> for_conversation(const std::vector<Analyzer>& analyzers,
                                       const Conversation& head) {
  std::vector<Analyzer> some;
  for (const auto& analyzer : analyzers) {
    auto due = analyzer;
    const auto on = analyzer.trigger.on;
    if (on == TriggerOn::schedule || on == TriggerOn::demand) due.trigger.on = TriggerOn::ended;
    if (is_due(due, head)) some.push_back(analyzer);
  }
  return some;
}

Result<BackfillFilter> filter_of(const Campaign& campaign) {
  SAMTALE_TRY(const auto value, json::parse(campaign.filter));
  return parse_backfill_filter(value);
}

bool has_ended(const Campaign& campaign) {
  return campaign.state == "done" || campaign.state == "cancelled";
}

}  // namespace

Result<BackfillFilter> parse_backfill_filter(const json::Value& value) {
  Fields fields(value);
  BackfillFilter filter;
  filter.analyzers = fields.strings("analyzers");
  filter.from = fields.time("from");
  filter.to = fields.time("to");
  filter.channel = fields.string("channel").value_or("");
  filter.source = fields.string("source").value_or("");
  SAMTALE_TRY_VOID(fields.done());
  return filter;
}

json::Value to_json(const BackfillFilter& filter) {
  json::Object object;
  if (!filter.analyzers.empty()) {
    object.emplace_back("analyzers", json::Array(filter.analyzers.begin(), filter.analyzers.end()));
  }
  if (filter.from) object.emplace_back("from", format_time(*filter.from));
  if (filter.to) object.emplace_back("to", format_time(*filter.to));
  if (!filter.channel.empty()) object.emplace_back("channel", filter.channel);
  if (!filter.source.empty()) object.emplace_back("source", filter.source);
  return object;
}

json::Value to_json(const BackfillEstimate& estimate) {
  constexpr double kMicro = 1e6;
  return json::Object{{"conversations", estimate.conversations},
                      {"analyses", estimate.analyses},
                      {"input_tokens", estimate.input_tokens},
                      {"output_tokens", estimate.output_tokens},
                      {"usd", static_cast<double>(estimate.micro_usd) / kMicro},
                      {"sampled", estimate.sampled}};
}

Backfills::Backfills(Store& store, Queue& queue, const AnalyzerCatalog& catalog,
                     const LmAnalyst* analyst, const Clock& clock, Random& random,
                     const BackfillOptions& options)
    : store_(store),
      queue_(queue),
      catalog_(catalog),
      analyst_(analyst),
      clock_(clock),
      random_(random),
      options_(options) {}

Result<std::vector<Analyzer>> Backfills::analyzers_of(CompanyId company,
                                                      const BackfillFilter& filter) const {
  std::vector<Analyzer> some;
  const auto all = catalog_.of(company);
  for (const auto& name : filter.analyzers) {
    const auto found = std::ranges::find(*all, name, &Analyzer::name);
    if (found == all->end() || !found->is_active) {
      return fail(ErrorCode::invalid_argument,
                  "/analyzers: there is no active analyzer \"" + name + "\"");
    }
    some.push_back(*found);
  }
  if (filter.analyzers.empty()) {
    std::ranges::copy_if(*all, std::back_inserter(some), &Analyzer::is_active);
  }
  return some;
}

Result<BackfillEstimate> Backfills::estimate(CompanyId company,
                                             const BackfillFilter& filter) const {
  SAMTALE_TRY(const auto analyzers, analyzers_of(company, filter));
  BackfillEstimate estimate;
  std::vector<ConversationId> taken;
  std::string cursor;
  do {
    SAMTALE_TRY(const auto page,
                store_.list_conversations(company, query_of(filter, kPage, cursor)));
    for (const auto& summary : page.conversations) {
      if (!for_conversation(analyzers, summary.head).empty()) taken.push_back(summary.head.id);
    }
    cursor = page.next_cursor;
  } while (!cursor.empty());
  estimate.conversations = static_cast<std::int64_t>(taken.size());
  if (analyst_ == nullptr || taken.empty()) return estimate;

  const auto step = std::max<std::size_t>(taken.size() / options_.sample, 1);
  for (std::size_t i = 0; i < taken.size(); i += step) {
    SAMTALE_TRY(const auto found, store_.find_conversation(company, taken[i]));
    if (!found) continue;
    SAMTALE_TRY(const auto known, store_.analyses(company, taken[i]));
    LmOrder order{.company = company, .conversation = &found->conversation};
    for (const auto& analyzer : for_conversation(analyzers, found->conversation)) {
      if (!is_by_rules(analyzer.kind) && !is_known(analyzer, found->revision, true, known)) {
        order.analyzers.push_back(analyzer);
      }
    }
    ++estimate.sampled;
    estimate.analyses += static_cast<std::int64_t>(order.analyzers.size());
    estimate.input_tokens += analyst_->estimate_tokens(order);
  }
  if (estimate.sampled == 0) return estimate;
  const auto scale = [&](std::int64_t of_sample) {
    return of_sample * estimate.conversations / estimate.sampled;
  };
  estimate.analyses = scale(estimate.analyses);
  estimate.input_tokens = scale(estimate.input_tokens);
  estimate.output_tokens = estimate.analyses * kOutputTokensAnAnalysis;
  estimate.micro_usd =
      cost_micro_usd(options_.prices, estimate.input_tokens, 0, estimate.output_tokens);
  return estimate;
}

Result<Campaign> Backfills::start(CompanyId company, const BackfillFilter& filter) {
  SAMTALE_TRY(const auto others, store_.campaigns(company));
  const auto running =
      std::ranges::count_if(others, [](const Campaign& one) { return !has_ended(one); });
  if (static_cast<std::size_t>(running) >= options_.running_max) {
    return fail(ErrorCode::resource_exhausted,
                "a company has at most " + std::to_string(options_.running_max) +
                    " back-fills under way; wait for one or cancel it");
  }
  return put_new(company, filter, std::string(kAskedFor));
}

Result<Campaign> Backfills::put_new(CompanyId company, const BackfillFilter& filter,
                                    std::string id_prefix) {
  SAMTALE_TRY(const auto costs, estimate(company, filter));
  Campaign campaign;
  campaign.id = std::move(id_prefix) + base32(random_.bytes(kIdBytes));
  campaign.filter = json::dump(to_json(filter));
  campaign.state = "running";
  campaign.total = costs.conversations;
  campaign.estimate = json::dump(to_json(costs));
  campaign.created_at = campaign.updated_at = clock_.wall_now();
  SAMTALE_TRY_VOID(store_.write(store_.partition_of(company), [&](StoreWriter& writer) {
    return writer.put_campaign(company, campaign);
  }));
  return campaign;
}

Result<std::int64_t> Backfills::waiting(CompanyId company) const {
  SAMTALE_TRY(const auto kinds, queue_.stats(company));
  std::int64_t jobs = 0;
  for (const auto& kind : kinds) {
    if (std::ranges::find(kJobs, kind.kind) == kJobs.end()) continue;
    jobs += static_cast<std::int64_t>(kind.ready + kind.delayed + kind.leased);
  }
  return jobs;
}

Result<std::vector<BackfillProgress>> Backfills::list(CompanyId company) const {
  SAMTALE_TRY(auto campaigns, store_.campaigns(company));
  SAMTALE_TRY(auto jobs, waiting(company));
  SAMTALE_TRY(const auto batches, store_.batches(store_.partition_of(company)));
  for (const auto& [of, batch] : batches) {
    if (of != company) continue;
    // One that cannot be read is BatchWorker's to complain of.
    const auto row = read_batch_row(company, batch.requests);
    if (row) jobs += static_cast<std::int64_t>(row->jobs.size());
  }
  std::vector<BackfillProgress> list;
  for (auto& campaign : campaigns) list.push_back({std::move(campaign), jobs});
  return list;
}

Result<BackfillProgress> Backfills::find(CompanyId company, std::string_view id) const {
  SAMTALE_TRY(auto all, list(company));
  const auto found =
      std::ranges::find_if(all, [&](const BackfillProgress& one) { return one.campaign.id == id; });
  if (found == all.end()) return fail(ErrorCode::not_found, "there is no such back-fill");
  return std::move(*found);
}

Result<Campaign> Backfills::change(CompanyId company, std::string_view id, Action action) {
  std::optional<Campaign> changed;
  SAMTALE_TRY_VOID(store_.write(store_.partition_of(company), [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY(changed, writer.find_campaign(company, id));
    if (!changed) return fail(ErrorCode::not_found, "there is no such back-fill");
    if (has_ended(*changed)) {
      return fail(ErrorCode::conflict, "this back-fill is " + changed->state + " already");
    }
    changed->state = action == Action::pause    ? "paused"
                     : action == Action::resume ? "running"
                                                : "cancelled";
    changed->updated_at = clock_.wall_now();
    return writer.put_campaign(company, *changed);
  }));
  return *changed;
}

Result<bool> Backfills::advance(CompanyId company, Campaign campaign) {
  SAMTALE_TRY(const auto jobs, waiting(company));
  if (jobs >= static_cast<std::int64_t>(options_.waiting_max)) return false;
  SAMTALE_TRY(const auto filter, filter_of(campaign));
  auto analyzers = analyzers_of(company, filter);
  // Deleted or made inactive since: the others go on.
  if (!analyzers) analyzers = std::vector<Analyzer>();
  SAMTALE_TRY(const auto page,
              store_.list_conversations(company, query_of(filter, options_.page, campaign.cursor)));
  const auto work = [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY(auto now, writer.find_campaign(company, campaign.id));
    // Paused or moved on while the page was read.
    if (!now || now->state != "running" || now->cursor != campaign.cursor) return {};
    for (const auto& summary : page.conversations) {
      ++now->seen;
      AnalysisJob wanted{.conversation = summary.head.id};
      for (const auto& one : for_conversation(*analyzers, summary.head)) {
        wanted.analyzers.push_back(one.name);
      }
      if (wanted.analyzers.empty()) continue;
      auto job = make_analysis_job(kAnalyzeJob, company, wanted);
      job.priority = Priority::bulk;
      SAMTALE_TRY_VOID(writer.enqueue(job));
      ++now->asked;
    }
    now->cursor = page.next_cursor;
    if (now->cursor.empty()) now->state = "done";
    now->updated_at = clock_.wall_now();
    return writer.put_campaign(company, *now);
  };
  SAMTALE_TRY_VOID(store_.write(store_.partition_of(company), work));
  return true;
}

// A campaign of its own each time. It looks back further than the last one, at conversations that
// had begun by then and have ended since; what is known already costs nothing.
Result<std::size_t> Backfills::run_schedules() {
  std::size_t started = 0;
  const auto now = clock_.wall_now();
  for (const auto& [company, analyzer] : catalog_.scheduled()) {
    SAMTALE_TRY(const auto campaigns, store_.campaigns(company));
    const auto last = std::ranges::find_if(campaigns, [&](const Campaign& one) {
      const auto filter = filter_of(one);
      return one.id.starts_with(kScheduled) && filter &&
             filter->analyzers == std::vector{analyzer.name};
    });
    const bool is_due = last == campaigns.end() || last->created_at + analyzer.trigger.every <= now;
    if (!is_due) continue;
    const auto every =
        std::chrono::duration_cast<std::chrono::microseconds>(analyzer.trigger.every);
    const BackfillFilter filter{.analyzers = {analyzer.name}, .from = now - every - kLookBack};
    SAMTALE_TRY_VOID(put_new(company, filter, std::string(kScheduled)));
    ++started;
  }
  return started;
}

Result<std::size_t> Backfills::step() {
  SAMTALE_TRY(auto moved, run_schedules());
  for (std::uint32_t i = 0; i < store_.partitions(); ++i) {
    SAMTALE_TRY(const auto running, store_.running_campaigns(Partition{i}));
    for (const auto& [company, campaign] : running) {
      SAMTALE_TRY(const bool has_moved, advance(company, campaign));
      moved += has_moved ? 1 : 0;
    }
  }
  return moved;
}

}  // namespace samtale
