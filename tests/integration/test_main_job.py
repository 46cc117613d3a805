"""The main job against the real binary: in by webhook and API, found, read, deleted, kept."""
import json
import os
import subprocess
import time
import unittest

from samtale import BIN, ENVIRONMENT, Server, conversation, own_write_is_found, raw, sign, wait_for


class MainJobTest(unittest.TestCase):
    flags = ()  # What the server is started with; see test_postgres.

    @classmethod
    def setUpClass(cls):
        # Many wrong credentials are tried here; that they are throttled is test_hostile_clients'.
        cls.server = Server("--set", "limits.failures_max=10000", *cls.flags).__enter__()
        cls.acme = cls.server.company("acme")
        cls.globex = cls.server.company("globex")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def webhook(self, endpoint, name, document, headers=None, body=None):
        data = body if body is not None else json.dumps(document).encode()
        sent = sign(endpoint["secret"], name, data)
        sent.update(headers or {})
        return self.acme.call("POST", "/v1/webhooks/" + endpoint["id"], data, sent)

    def test_a_signed_webhook_is_found_by_words_and_by_meaning_and_by_no_other_company(self):
        endpoint = self.acme.endpoint()
        status, answer, _ = self.webhook(endpoint, "msg_1", conversation(
            "w1", "My parcel with the lamp never arrived", "I am sorry, I will look for it"))
        self.assertEqual(status, 202, answer)

        self.assertEqual(self.acme.find("lamp")[0]["external_id"], "w1")
        wait_for("its vector", lambda: self.acme.search("parcels never arriving", "vector"))
        self.assertEqual(self.globex.search("lamp", "keyword"), [])

    def test_what_was_read_is_found_by_a_search_that_is_told_so(self):
        for i in range(20):
            own_write_is_found(self.acme, self.acme, f"own{i}")

    def test_bad_signatures_get_401_and_the_same_words(self):
        endpoint = self.acme.endpoint()
        body = json.dumps(conversation("g1", "hello")).encode()
        good = sign(endpoint["secret"], "msg_g1", body)
        bad = [{"webhook-signature": ""}, {"webhook-signature": "v1,AAAA"},
               {"webhook-signature": good["webhook-signature"][:-4]},
               {"webhook-signature": good["webhook-signature"].replace("v1,", "v9,")},
               {"webhook-timestamp": "1"}, {"webhook-timestamp": "-1"},
               {"webhook-timestamp": "9" * 30}, {"webhook-timestamp": "soon"},
               {"webhook-timestamp": str(int(time.time()) + 301)}, {"webhook-id": "msg.g1"}]
        messages = set()
        for change in bad:
            status, answer, _ = self.webhook(endpoint, "msg_g1", None, change, body)
            self.assertEqual(status, 401, change)
            messages.add(answer["message"])
        status, answer, _ = self.webhook(endpoint, "msg_g1", None, None, body + b" ")
        self.assertEqual(status, 202)  # Signed as it is sent; the next is not.
        status, answer, _ = self.acme.call("POST", "/v1/webhooks/" + endpoint["id"], body + b"  ",
                                           good)
        self.assertEqual(status, 401)
        self.assertEqual(len(messages | {answer["message"]}), 1)

    def test_a_redelivery_changes_nothing_and_an_id_with_another_body_is_a_conflict(self):
        endpoint = self.acme.endpoint()
        document = conversation("r1", "redelivered once")
        self.assertEqual(self.webhook(endpoint, "msg_r1", document)[0], 202)
        self.assertEqual(self.webhook(endpoint, "msg_r1", document)[0], 200)
        self.assertEqual(self.webhook(endpoint, "msg_r1", conversation("r1", "other"))[0], 409)

        self.acme.find("redelivered")
        found = self.acme.call("GET", "/v1/conversations?external_id=r1")[1]["conversations"]
        self.assertEqual([one["revision"] for one in found], [1])

    def test_a_foreign_company_in_the_body_is_refused(self):
        endpoint = self.acme.endpoint()
        document = conversation("f1", "hello") | {"company_id": "globex"}
        self.assertEqual(self.webhook(endpoint, "msg_f1", document)[0], 403)
        self.assertEqual(self.acme.call("POST", "/v1/conversations", document)[0], 403)

    def test_a_rotated_secret_and_the_old_one_both_work_until_it_ends(self):
        endpoint = self.acme.endpoint()
        fresh = self.server.cli("endpoint", "rotate", endpoint["id"], "--company", "acme")
        document = conversation("rot1", "rotation")
        self.assertEqual(self.webhook(endpoint, "msg_rot1", document)[0], 202)
        self.assertEqual(self.webhook(fresh, "msg_rot2", document)[0], 202)

    def test_a_batch_answers_for_each_item(self):
        status, answer, _ = self.acme.call("POST", "/v1/conversations", [
            conversation("b1", "first of the batch"), {"id": "b2", "turns": [{"text": 17}]},
            conversation("b3", "third of the batch")])

        self.assertEqual(status, 207)
        self.assertEqual([item["status"] for item in answer["items"]], [202, 422, 202])
        self.assertIn("/turns/0/text", answer["items"][1]["error"]["message"])
        self.assertEqual(self.acme.find("third")[0]["external_id"], "b3")

    def test_ndjson_is_answered_line_by_line(self):
        import http.client
        peer = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        lines = [json.dumps(conversation(f"n{i}", f"ndjson number nnn{i}")) for i in range(1000)]
        lines[500] = '{"id":"x","id":"y"}'
        peer.request("POST", "/v1/conversations", "\n".join(lines).encode(),
                     {"Authorization": "Bearer " + self.acme.key,
                      "Content-Type": "application/x-ndjson"})
        answer = peer.getresponse()
        items = [json.loads(line) for line in answer.read().splitlines()]
        peer.close()

        self.assertEqual(answer.status, 200)
        self.assertEqual([item["index"] for item in items], list(range(1000)))
        self.assertEqual([item["index"] for item in items if item["status"] != 202], [500])
        self.assertEqual(self.acme.find("nnn999")[0]["external_id"], "n999")

    def test_an_idempotency_key_makes_a_repeat_harmless(self):
        headers = {"Idempotency-Key": "order-1"}
        document = conversation("i1", "idempotent")
        self.assertEqual(self.acme.call("POST", "/v1/conversations", document, headers)[0], 202)
        self.assertEqual(self.acme.call("POST", "/v1/conversations", document, headers)[0], 200)
        other = conversation("i1", "something else")
        self.assertEqual(self.acme.call("POST", "/v1/conversations", other, headers)[0], 409)

    def test_strange_json_is_refused_with_400(self):
        for body in [b"", b"{", b'{"id":"a"} x', b"\xef\xbb\xbf{}", b"{'a':1}", b"NaN",
                     b'{"id":"a","id":"b"}', b'{"a":1e400}', b'{"a":"\xff"}', b'{"a":"\\ud800"}',
                     b"[" * 100_000, b'{"id":12345678901234567890}', b"// hi\n{}"]:
            status, answer, _ = self.acme.call("POST", "/v1/conversations", body)
            self.assertEqual(status, 400, body[:40])
            self.assertFalse(answer["retryable"])
            self.assertIn("request_id", answer)

    def test_smuggling_shapes_get_400_and_the_connection_ends(self):
        head = b"POST /v1/search HTTP/1.1\r\nHost: a\r\n"
        rest = b"\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        for shape in [b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                      b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: +5\r\n",
                      b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: chunked, gzip\r\n",
                      b"Transfer-Encoding : chunked\r\n", b"X: a\r\n b\r\n"]:
            answer = raw(self.server.port, head + shape + rest)
            self.assertTrue(answer.startswith(b"HTTP/1.1 400"), (shape, answer[:60]))
            self.assertEqual(answer.count(b"HTTP/1.1"), 1, shape)

    def test_another_companys_conversation_answers_like_one_that_is_not_there(self):
        name = self.acme.send(conversation("k1", "private to acme"))
        self.acme.find("private")
        absent = "cnv_" + "a" * 26
        for method, path in [("GET", "/v1/conversations/{}"), ("DELETE", "/v1/conversations/{}"),
                             ("GET", "/v1/conversations/{}?format=vcon")]:
            theirs = self.globex.call(method, path.format(name))
            missing = self.globex.call(method, path.format(absent))
            for answer in (theirs, missing):
                answer[1].pop("request_id")
            self.assertEqual((theirs[0], theirs[1]), (missing[0], missing[1]))
            self.assertEqual(theirs[0], 404)

    def test_what_is_deleted_is_gone_from_answers_and_from_every_byte(self):
        canary = "canarydeleteme"
        endpoint = self.acme.endpoint()
        self.assertEqual(self.webhook(endpoint, "msg_d1", conversation("d1", f"hello {canary}"))[0],
                         202)
        hit = self.acme.find(canary)[0]
        wait_for("its vector", lambda: self.acme.call("GET", "/v1/status")[1]
                 ["chunks_without_vector"] == 0)

        status, _, _ = self.acme.call("DELETE", "/v1/conversations/" + hit["id"])

        self.assertEqual(status, 200)
        self.assertEqual(self.acme.search(canary, "keyword"), [])
        self.assertEqual(self.acme.call("GET", "/v1/conversations/" + hit["id"])[0], 404)
        wait_for("the bytes' erasure", lambda: not any(
            canary.encode() in data for _, data in self.server.bytes_of_all_files()))
        # It never comes back, whatever is delivered again.
        self.webhook(endpoint, "msg_d2", conversation("d1", f"hello again {canary}"))
        self.acme.send(conversation("d2", "aftermath"))
        self.acme.find("aftermath")
        self.assertEqual(self.acme.search(canary, "keyword"), [])

    def test_search_refuses_what_breaks_its_rules(self):
        for body in [{}, {"query": ""}, {"query": "a", "limit": 0}, {"query": "a", "limit": -1},
                     {"query": "a", "limit": 10**9}, {"query": "a", "mode": "psychic"},
                     {"query": "a", "cursor": "1.forged"}, {"query": "a" * 100_000},
                     {"vector": [1, 2]}, {"vector": [0] * 1024}, {"query": "a", "unknown": 1},
                     {"query": "a", "filters": {"from": "yesterday"}},
                     {"query": "a", "filters": {"tag": {"in": ["t"] * 10_000}}}]:
            status, answer, _ = self.acme.call("POST", "/v1/search", body)
            self.assertEqual(status, 422, body)
            self.assertIn("/", answer["message"])

    def test_query_syntax_is_only_words(self):
        self.acme.send(conversation("q1", "it says NEAR( and \" and * and ' OR 1=1 --"))
        self.acme.find("says")
        for query in ['NEAR(', '"', '*', "' OR 1=1 --", "NOT " * 300 + "x", "%", "_", "a" * 4000]:
            self.acme.search(query, "keyword")

    def test_filters_narrow_what_is_found(self):
        self.acme.send(conversation("fl1", "filtered zebra") | {
            "tags": ["red"], "metadata": {"plan": "pro", "seats": 5},
            "started_at": "2026-03-01T10:00:00Z"})
        self.acme.send(conversation("fl2", "filtered zebra") | {
            "tags": ["blue"], "metadata": {"plan": "free"}, "channel": "voice",
            "started_at": "2026-04-01T10:00:00Z"})
        wait_for("both", lambda: len(self.acme.search("zebra", "keyword")) == 2)
        for filters, expected in [
                ({"tag": "red"}, ["fl1"]), ({"tag": {"in": ["red", "blue"]}}, ["fl1", "fl2"]),
                ({"metadata": {"plan": "free"}}, ["fl2"]), ({"metadata": {"seats": 5}}, ["fl1"]),
                ({"channel": "voice"}, ["fl2"]), ({"to": "2026-03-15T00:00:00Z"}, ["fl1"]),
                ({"from": "2026-03-15T00:00:00Z"}, ["fl2"]), ({"source": "retell"}, [])]:
            hits = self.acme.search("zebra", "keyword", filters=filters)
            self.assertEqual(sorted(hit["external_id"] for hit in hits), expected, filters)

    def test_a_cursor_goes_through_all_and_no_other_search_takes_it(self):
        for i in range(7):
            self.acme.send(conversation(f"p{i}", f"paging giraffe number {i}"))
        wait_for("all", lambda: len(self.acme.search("giraffe", "keyword")) == 7)
        seen, cursor = [], None
        while True:
            body = {"query": "giraffe", "mode": "keyword", "limit": 3}
            if cursor:
                body["cursor"] = cursor
            _, answer, _ = self.acme.call("POST", "/v1/search", body)
            seen += [hit["external_id"] for hit in answer["hits"]]
            if not answer["next_cursor"]:
                break
            cursor = answer["next_cursor"]
        self.assertEqual(sorted(seen), [f"p{i}" for i in range(7)])
        self.assertEqual(self.acme.call("POST", "/v1/search", {
            "query": "other", "mode": "keyword", "cursor": cursor})[0], 422)
        self.assertEqual(self.globex.call("POST", "/v1/search", {
            "query": "giraffe", "mode": "keyword", "limit": 3, "cursor": cursor})[0], 422)

    def test_scopes_hold_and_a_revoked_key_ends_at_once(self):
        made = self.server.cli("key", "create", "--company", "acme", "--scope", "search")
        headers = {"Authorization": "Bearer " + made["key"]}
        self.assertEqual(self.acme.call("POST", "/v1/search", {"query": "x"}, headers)[0], 200)
        self.assertEqual(self.acme.call("GET", "/v1/conversations", None, headers)[0], 403)
        self.assertEqual(self.acme.call("POST", "/v1/conversations", {}, headers)[0], 403)
        self.server.cli("key", "revoke", made["id"], "--company", "acme")
        self.assertEqual(self.acme.call("POST", "/v1/search", {"query": "x"}, headers)[0], 401)
        self.assertEqual(self.acme.call("GET", "/v1/companies")[0], 404)  # The local socket only.

    def test_every_documented_route_is_there_and_needs_its_credential(self):
        _, document, _ = self.acme.call("GET", "/openapi.json")
        self.assertGreater(len(document["paths"]), 15)
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                filled = path.replace("{id}", "cnv_" + "a" * 26).replace("{endpoint}", "none") \
                    .replace("{file}", "app.js")
                status, answer, _ = self.acme.call(method.upper(), filled,
                                                   "{}" if method != "get" else None,
                                                   {"Authorization": "Bearer smt_no_no"}) \
                    if "security" in operation else (401, None, None)
                self.assertEqual(status, 401, (method, path, answer))

    def test_what_has_ended_is_analysed_shown_counted_and_found_by_it(self):
        turns = [{"speaker": "customer", "text": "The widget is terrible. I hate the awful widget."},
                 {"speaker": "agent", "text": "A new widget will come on Monday."}]
        document = conversation("a1", "") | {"turns": turns, "status": "ended", "language": "en"}
        name = self.acme.send(document)

        read = lambda: self.acme.call("GET", f"/v1/conversations/{name}")[1].get("analyses", [])
        wait_for("the analyses", lambda: len(read()) == 5)

        by_name = {one["analyzer"]: one for one in read()}
        self.assertEqual(by_name["sentiment"]["result"]["label"], "negative")
        self.assertIn("widget", by_name["topics"]["labels"])
        for sentence in by_name["summary"]["result"]["sentences"]:
            self.assertIn(sentence["quote"], turns[sentence["turn"]]["text"])
        _, trends, _ = self.acme.call("GET", "/v1/analyses/trends?analyzer=sentiment")
        self.assertEqual(sum(bucket["labels"].get("negative", 0) for bucket in trends["buckets"]), 1)
        search = {"query": "widget", "filters": {"sentiment": "negative", "topic": "widget"}}
        found = lambda: [hit["id"] for hit in self.acme.call("POST", "/v1/search", search)[1]["hits"]]
        wait_for("the filter", lambda: found() == [name])
        _, answer, _ = self.globex.call("GET", "/v1/analyses?analyzer=topics")
        self.assertNotIn("widget", json.dumps(answer))

    def test_the_vcon_of_a_conversation_can_be_sent_back(self):
        name = self.acme.send(conversation("v1", "vcon there", "and back again"))
        self.acme.find("vcon")
        status, vcon, _ = self.acme.call("GET", f"/v1/conversations/{name}?format=vcon")
        self.assertEqual(status, 200)
        status, answer, _ = self.globex.call("POST", "/v1/conversations", vcon)
        self.assertEqual(status, 202, answer)
        self.assertTrue(self.globex.find("vcon"))

    def test_metrics_are_written_for_prometheus(self):
        import urllib.request
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/metrics").read().decode()
        for name in ["samtale_accepted_events", "samtale_queue_ready", "samtale_http_requests_total",
                     "samtale_index_chunks"]:
            self.assertIn(name, text)
        self.assertNotIn("acme", text)


class LifeTest(unittest.TestCase):
    def test_everything_is_there_again_after_a_stop(self):
        with Server() as server:
            acme = server.company("acme")
            acme.send(conversation("s1", "kept over a restart"))
            acme.find("restart")

            self.assertEqual(server.stop(), 0)
            server.start()

            self.assertEqual(acme.find("restart")[0]["external_id"], "s1")

    def test_a_second_server_on_the_same_folder_refuses_and_names_the_first(self):
        with Server() as server:
            second = subprocess.run([BIN, "serve", "--data", server.data, "--port", "0"],
                                    capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
            self.assertNotEqual(second.returncode, 0)
            self.assertIn(str(server.process.pid), second.stderr)

    def test_a_folder_open_to_others_is_refused(self):
        with Server() as server:
            server.stop()
            os.chmod(server.data, 0o777)
            refused = subprocess.run([BIN, "serve", "--data", server.data, "--port", "0"],
                                     capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(server.data, refused.stderr)
            os.chmod(server.data, 0o700)
            server.start()

    def test_a_stop_under_load_fails_no_request_it_took(self):
        import http.client
        import threading
        with Server() as server:
            acme = server.company("acme")
            acme.send(conversation("t0", "warm"))
            answers, all_started = [], threading.Barrier(5)

            def send(base):
                peer = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                for i in range(100_000):
                    try:
                        status, _, headers = acme.call("POST", "/v1/conversations",
                                                       conversation(f"t{base}-{i}", "drain"),
                                                       connection=peer)
                    except (OSError, http.client.HTTPException) as error:
                        answers.append(error if i == 0 else "closed")
                        return
                    answers.append(status)
                    if i == 0:
                        all_started.wait(30)
                    if headers.get("Connection") == "close":
                        return

            senders = [threading.Thread(target=send, args=(i,)) for i in range(4)]
            for sender in senders:
                sender.start()
            all_started.wait(30)
            self.assertEqual(server.stop(), 0)
            for sender in senders:
                sender.join()
            self.assertEqual([one for one in answers if one not in (202, "closed")], [])
            server.start()
            took = answers.count(202) + 1
            wait_for("all that was answered", lambda: acme.call("GET", "/v1/status")[1]
                     ["conversations"] >= took)


if __name__ == "__main__":
    unittest.main()
