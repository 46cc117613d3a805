#include "metrics/metrics.h"

#include <gmock/gmock.h>

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsTest, writes_what_was_counted_and_observed) {
  const auto metrics = make_metrics();
  metrics->counter("samtale_events_total", "Events.", {{"kind", "chat"}}).add(3);
  metrics->histogram("samtale_wait_seconds", "Wait.", {}).observe(0.002);

  const auto text = metrics->text();

  EXPECT_THAT(text, HasSubstr("samtale_events_total{kind=\"chat\"} 3"));
  EXPECT_THAT(text, HasSubstr("samtale_wait_seconds_bucket{le=\"0.0025\"} 1"));
}

TEST(MetricsTest, gives_the_same_series_for_the_same_labels) {
  const auto metrics = make_metrics();

  metrics->counter("samtale_events_total", "Events.", {{"kind", "chat"}}).add();
  metrics->counter("samtale_events_total", "Events.", {{"kind", "chat"}}).add();

  EXPECT_THAT(metrics->text(), HasSubstr("samtale_events_total{kind=\"chat\"} 2"));
}

TEST(MetricsTest, reads_gauges_at_each_scrape) {
  const auto metrics = make_metrics();
  double depth = 1;
  metrics->gauge("samtale_depth", "Depth.", [&depth] {
    return std::vector<Sample>{{{{"kind", "embed"}}, depth}};
  });

  depth = 7;

  EXPECT_THAT(metrics->text(), HasSubstr("samtale_depth{kind=\"embed\"} 7"));
}

TEST(MetricsTest, counts_label_values_past_the_limit_under_other) {
  const auto metrics = make_metrics({.series_max = 2});

  for (int i = 0; i < 100; ++i) {
    metrics->counter("samtale_hits_total", "Hits.", {{"path", "/" + std::to_string(i)}}).add();
  }

  EXPECT_THAT(metrics->text(), HasSubstr("samtale_hits_total{path=\"other\"} 98"));
  EXPECT_THAT(metrics->text(), Not(HasSubstr("\"/2\"")));
}

}  // namespace
}  // namespace samtale
