"""What was answered with 2xx, remembered outside of the servers."""
import contextlib
import copy
import itertools
import json
import threading

from samtale import conversation, sign, wait_for


class Ledger:
    """Sends events of one company to servers, and remembers which were answered with 2xx, and how."""

    def __init__(self, company, servers):
        self.company, self.endpoint, self.servers = company, company.endpoint(), servers
        self.answered, self.acks, self.numbers = [], {}, itertools.count()
        self.lock = threading.Lock()
        for server in servers:
            wait_for("a server that knows it", lambda: company.at(server).is_known(self.endpoint))

    def send(self, server, name):
        company = self.company.at(server)
        body = json.dumps(conversation(name, f"ledger{name} words", "ok") | {"status": "ended"}).encode()
        status, answer, _ = company.call("POST", "/v1/webhooks/" + self.endpoint["id"], body,
                                         sign(self.endpoint["secret"], "msg_" + name, body))
        assert status in (200, 202), (status, answer)
        with self.lock:
            self.answered.append(name)
            self.acks[name] = answer["ack"]
        return answer["ack"]

    def send_some(self, prefix, count):
        for i in range(count):
            self.send(self.servers[i % len(self.servers)], f"{prefix}{i}")

    @contextlib.contextmanager
    def load(self):
        """A sender to each server, until it ends."""
        stop, failures = threading.Event(), []

        def work(server, place):
            while not stop.is_set() and not failures:
                try:
                    self.send(server, f"load{place}x{next(self.numbers)}")
                except Exception as error:  # Of a thread, which nobody else would tell.
                    failures.append(error)
                stop.wait(0.02)

        threads = [threading.Thread(target=work, args=(server, place))
                   for place, server in enumerate(self.servers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def wait_for_more(self, count=50):
        had = len(self.answered)
        wait_for("more answers", lambda: len(self.answered) >= had + count)

    def wait_for_acks(self, wanted, count=20):
        """So many answers in a row that say so."""
        wait_for(f"answers that say {wanted}", lambda: [
            self.acks[name] for name in self.answered[-count:]] == [wanted] * count)

    def status(self, server=None):
        company = copy.copy(self.company)
        company.server = server or self.servers[0]
        return company.call("GET", "/v1/status")[1]

    def wait_until_all_is_stored(self):
        wait_for("all to be stored", lambda: self.status().get("conversations") == len(self.answered))
        wait_for("all vectors", lambda: self.status().get("chunks_without_vector") == 0)
        assert self.status()["events"] == len(self.answered), self.status()

    def wait_until_each_is_found(self, server, sample=60):
        company = copy.copy(self.company)
        company.server = server
        for name in self.answered[::max(1, len(self.answered) // sample)]:
            wait_for("finding " + name, lambda: self.found(company, name) == [name])

    @staticmethod
    def found(company, name):
        """Nothing where there is no whole index to ask just now, as while it is loaded anew."""
        status, answer, _ = company.call("POST", "/v1/search", {"query": "ledger" + name, "mode": "keyword"})
        assert status in (200, 503), answer
        return [hit["external_id"] for hit in answer["hits"]] if status == 200 else None
