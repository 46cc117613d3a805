// Metrics: counters, gauges and histograms, written out in the Prometheus text format.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace samtale {

using Labels = std::map<std::string, std::string>;

// Handles to one series each; cheap to use, found once. They live as long as their Metrics.
// Threads: any method from any thread.
class Counter {
 public:
  virtual void add(double amount = 1) = 0;

 protected:
  ~Counter() = default;
};

class Histogram {
 public:
  virtual void observe(double value) = 0;

 protected:
  ~Histogram() = default;
};

struct Sample {
  Labels labels;
  double value = 0;
};

struct MetricsOptions {
  // Series of one name; further label values are counted under "other". Labels never hold what a
  // sender chose (a path, a company): this is the net below that rule.
  std::size_t series_max = 200;
};

// Names follow Prometheus' rules: samtale_<what>_<unit>_total.
// Threads: any method from any thread.
class Metrics {
 public:
  virtual ~Metrics() = default;

  virtual Counter& counter(const std::string& name, const std::string& help,
                           const Labels& labels) = 0;
  // Buckets in seconds from 0.1 ms to 30 s.
  virtual Histogram& histogram(const std::string& name, const std::string& help,
                               const Labels& labels) = 0;
  // Called at each scrape, on the scraping thread.
  virtual void gauge(const std::string& name, const std::string& help,
                     std::function<std::vector<Sample>()> read) = 0;

  [[nodiscard]] virtual std::string text() const = 0;
};

// prometheus-cpp behind it.
[[nodiscard]] std::unique_ptr<Metrics> make_metrics(MetricsOptions options = {});

}  // namespace samtale
