#include "metrics/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <sstream>

namespace samtale {
namespace {

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void add(double amount) override { counter_.Increment(amount); }

 private:
  prometheus::Counter& counter_;
};

class PrometheusHistogram final : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

// Handles of one name, by their labels; the label values past the limit share one series.
template <class Handle>
class Series {
 public:
  template <class Make>
  Handle& find_or_make(const Labels& labels, std::size_t limit, Make make) {
    if (const auto found = handles_.find(labels); found != handles_.end()) return *found->second;
    auto used = labels;
    if (handles_.size() >= limit) {
      for (auto& [name, value] : used) value = "other";
      if (const auto found = handles_.find(used); found != handles_.end()) return *found->second;
    }
    return *handles_.emplace(used, std::make_unique<Handle>(make(used))).first->second;
  }

 private:
  std::map<Labels, std::unique_ptr<Handle>> handles_;
};

class PrometheusMetrics final : public Metrics {
 public:
  explicit PrometheusMetrics(MetricsOptions options) : options_(options) {}

  Counter& counter(const std::string& name, const std::string& help,
                   const Labels& labels) override {
    const std::lock_guard lock(series_mutex_);
    return counters_[name].find_or_make(labels, options_.series_max, [&](const Labels& used) {
      auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
      return PrometheusCounter(family.Add(used));
    });
  }

  Histogram& histogram(const std::string& name, const std::string& help,
                       const Labels& labels) override {
    static const prometheus::Histogram::BucketBoundaries kSeconds = {
        1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30};
    const std::lock_guard lock(series_mutex_);
    return histograms_[name].find_or_make(labels, options_.series_max, [&](const Labels& used) {
      auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
      return PrometheusHistogram(family.Add(used, kSeconds));
    });
  }

  void gauge(const std::string& name, const std::string& help,
             std::function<std::vector<Sample>()> read) override {
    const std::lock_guard lock(series_mutex_);
    gauges_.push_back({name, help, std::move(read)});
  }

  std::string text() const override {
    auto families = registry_.Collect();
    std::vector<Gauge> gauges;
    {
      const std::lock_guard lock(series_mutex_);
      gauges = gauges_;
    }
    for (const auto& gauge : gauges) families.push_back(collect(gauge));
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families);
    return out.str();
  }

 private:
  struct Gauge {
    std::string name;
    std::string help;
    std::function<std::vector<Sample>()> read;
  };

  static prometheus::MetricFamily collect(const Gauge& gauge) {
    prometheus::MetricFamily family{gauge.name, gauge.help, prometheus::MetricType::Gauge, {}};
    for (const auto& [labels, value] : gauge.read()) {
      prometheus::ClientMetric metric;
      metric.gauge.value = value;
      for (const auto& [name, text] : labels) metric.label.push_back({name, text});
      family.metric.push_back(std::move(metric));
    }
    return family;
  }

  const MetricsOptions options_;
  mutable prometheus::Registry registry_;
  mutable std::mutex series_mutex_;  // Guards the three below.
  std::map<std::string, Series<PrometheusCounter>> counters_;
  std::map<std::string, Series<PrometheusHistogram>> histograms_;
  std::vector<Gauge> gauges_;
};

}  // namespace

std::unique_ptr<Metrics> make_metrics(MetricsOptions options) {
  return std::make_unique<PrometheusMetrics>(options);
}

}  // namespace samtale
