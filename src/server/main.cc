// samtale: the whole system wired on one page. App (app.cc) is the wiring of the parts; here is how
// it is served, and how the command line reaches it.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "cli/cli.h"
#include "config/config.h"
#include "http/server.h"
#include "index/segment_folder.h"
#include "server/app.h"
#include "server/options.h"
#include "server/ready_file.h"
#include "server/stores.h"
#include "sys/files.h"
#include "sys/http_client.h"
#include "sys/thread_priority.h"

namespace samtale {
namespace {

constexpr auto kDrainMax = std::chrono::seconds(30);

// Blocks the signals that end the server, in every thread made from here on.
sigset_t block_end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

Result<> serve_until_told(const Config& given, const ServeOptions& serve, Log& log) {
  const auto signals = block_end_signals();
  SAMTALE_TRY(const auto app, App::open(given, log));
  SystemClock clock;
  SystemRandom random;
  const auto server =
      http::make_server(app->routes(), server_options(given), clock, random, log,
                        [&app](const http::Exchange& exchange) { app->observe(exchange); });
  app->watch(*server);
  SAMTALE_TRY_VOID(app->start());
  become_prompt_thread();  // For the server's threads: what they do, somebody waits for.
  SAMTALE_TRY_VOID(server->start());
  const auto url = server_url(given, server->port());
  app->announce(url);
  SAMTALE_TRY_VOID(write_ready_file(serve.ready_file, url));
  log.info("server.ready", {{"url", url}, {"data", given.data_dir}});

  int signal = 0;
  sigwait(&signals, &signal);
  log.info("server.stopping", {{"signal", std::to_string(signal)}});
  // A second signal ends the process at once: what was answered is on disk.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  app->end_readiness();
  const bool all_answered = server->drain(kDrainMax);
  if (!all_answered) log.warn("server.drain_incomplete", {{"seconds", "30"}});
  app->stop();
  log.info("server.stopped");
  return {};
}

int serve(const Config& config, const ServeOptions& options) {
  const auto log = make_stderr_log(log_options(config));
  const auto served = serve_until_told(config, options, *log);
  if (served) return EXIT_SUCCESS;
  log->error("server.failed", {{"error", served.error().message}});
  return EXIT_FAILURE;
}

// To the server that runs on this data folder, over its local socket; without one, to the same
// routes in this process.
Result<Transport> connect(const Config& config, bool needs_server) {
  auto log = std::shared_ptr<Log>(make_stderr_log({.level = LogLevel::error, .json = false}));
  auto opened = App::open(config, *log);
  if (opened) {
    if (needs_server) {
      return fail(ErrorCode::unavailable, "no server runs on the data folder " + config.data_dir +
                                              "; start one with `samtale serve --data " +
                                              config.data_dir + "`");
    }
    const std::shared_ptr<App> app = std::move(*opened);
    return Transport([app, log](http::Request request) -> Result<http::Response> {
      request.is_local = true;
      request.peer = "local";
      return http::dispatch(app->routes(), std::move(request));
    });
  }
  if (opened.error().code != ErrorCode::conflict) {
    return std::unexpected(std::move(opened).error());
  }
  return make_http_transport(std::shared_ptr<HttpClient>(make_http_client()), "http://localhost",
                             local_socket(config), "");
}

Result<std::vector<IndexFile>> check_index(const Config& config) {
  const auto files = make_system_files();
  SAMTALE_TRY(auto checks, check_segments(*files, segment_folder(config)));
  for (std::size_t i = 0; config.cluster.slices > 1 && i < config.cluster.slices; ++i) {
    SAMTALE_TRY(auto of_slice, check_segments(*files, share_folder(config, i)));
    std::ranges::move(of_slice, std::back_inserter(checks));
  }
  std::vector<IndexFile> found;
  for (const auto& check : checks) {
    found.push_back({.name = check.name,
                     .company = number(check.company),
                     .model = check.model,
                     .vectors = check.vectors,
                     .bytes = check.bytes,
                     .problem = check.problem});
  }
  return found;
}

Result<std::vector<BrokerQueue>> check_broker(const Config& config, bool fix) {
  SAMTALE_TRY(const auto broker, broker_options(config));
  if (!broker) {
    return fail(ErrorCode::invalid_argument,
                "there is no broker: queue.kind is \"" + config.queue.kind + "\"");
  }
  SystemClock clock;
  const auto timeout = broker->queue.session.timeout;
  auto connection =
      amqp::Connection::open(broker->queue.session.address, clock, clock.now() + timeout);
  if (!connection) return std::unexpected(std::move(connection).error().during(config.queue.url));
  const RabbitTopology topology(broker->prefix, broker->kinds);
  SAMTALE_TRY(const auto checks, check_topology(**connection, topology, fix, clock, timeout));
  std::vector<BrokerQueue> queues;
  for (const auto& check : checks) {
    queues.push_back({.name = check.queue,
                      .messages = check.messages,
                      .problem = check.problem,
                      .is_fixed = check.is_fixed});
  }
  return queues;
}

}  // namespace
}  // namespace samtale

int main(int argc, char** argv) {
  try {
    samtale::CliHooks hooks;
    hooks.serve = samtale::serve;
    hooks.connect = samtale::connect;
    hooks.check_index = samtale::check_index;
    hooks.migrate = samtale::migrate_store;
    hooks.migration_sql = samtale::store_migration_sql;
    hooks.move_company = samtale::move_company;
    hooks.check_topology = samtale::check_broker;
    return samtale::run(argc, argv, hooks);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "samtale: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
