"""A TCP proxy that fails as networks do, between a server and what it depends on.

One fault at a time, for all its connections, until heal(). TCP delivers in order or not at all, so what
a proxy can reorder is connections: with a delay by chance, the later one's bytes arrive first."""
import asyncio
import random
import socket
import struct
import threading

PIECE = 65536
RETRANSMISSION_S = 0.2  # RFC 6298 says 1 s; Linux waits for its least, this.


class FaultProxy:
    """Listens on a port of its own unless told which; `upstream` is the port of 127.0.0.1 that it stands before."""

    def __init__(self, upstream, address="127.0.0.1", port=0):
        self.upstream, self.address, self.asked_port = upstream, address, port

    def __enter__(self):
        self.pairs, self.faulty = set(), 0  # How many connections a fault has touched.
        self.answers = 0                    # How many pieces have come back through it.
        self.loop = asyncio.new_event_loop()
        self.listener = socket.create_server((self.address, self.asked_port), backlog=256)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.set_fault("none")
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.accept_all(),))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.do(self.acceptor.cancel)
        self.thread.join()
        self.loop.close()
        self.listener.close()

    # What a test says, from its thread.
    def delay(self, shortest_s, longest_s):
        """Each piece, by chance."""
        self.do(self.set_fault, "delay", delays=(shortest_s, longest_s))

    def lose_packets(self, share):
        """TCP sends them again: what a connection sends waits for .2 s, and each time that is lost for twice as long."""
        self.do(self.set_fault, "loss", share=share)

    def slow(self, bytes_per_second):
        """Each connection, each way."""
        self.do(self.set_fault, "slow", rate=bytes_per_second)

    def cut(self):
        """Resets all that is there and all that comes."""
        self.do(self.set_fault, "cut")

    def hang(self):
        """Accepts, and passes nothing on; what was sent arrives when it is healed."""
        self.do(self.set_fault, "hang")

    def swallow(self):
        """Accepts, and loses what is sent, both ways; what was open then is reset when it is healed."""
        self.do(self.set_fault, "swallow")

    def half_open(self):
        """Who had a connection goes on thinking so: the other end is gone, and says nothing, ever."""
        self.do(self.set_fault, "half_open")

    def lose_answers(self):
        """One way only: what is sent to the upstream arrives, and nothing comes back, until it is healed."""
        self.do(self.set_fault, "one_way")

    def lose_answers_to(self, word):
        """What has this word in it arrives; the connection is reset in place of the answer."""
        self.do(self.set_fault, "lose_answers", word=word)

    def heal(self):
        self.do(self.set_fault, "none")

    def do(self, action, *args, **more):
        """On the proxy's thread; returns when it is done."""
        done = threading.Event()

        def act():
            action(*args, **more)
            done.set()

        self.loop.call_soon_threadsafe(act)
        done.wait()

    # On the proxy's thread.
    def set_fault(self, name, delays=(0, 0), share=0, rate=0, word=b""):
        old, self.name = getattr(self, "name", "none"), name
        self.delays, self.share, self.rate, self.word = delays, share, rate, word
        self.changed, changed = asyncio.Event(), getattr(self, "changed", None)
        if changed:
            changed.set()
        for pair in set(self.pairs):
            if name == "cut" or old in ("swallow", "one_way") and pair.has_lost:
                pair.reset()
            elif name == "half_open":
                pair.forget_upstream()

    async def accept_all(self):
        self.acceptor = asyncio.current_task()
        tasks = set()
        try:
            while True:
                client, _ = await self.loop.sock_accept(self.listener)
                task = self.loop.create_task(Pair(self, client).run())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Pair:
    """A client's connection, and ours to the upstream for it."""

    def __init__(self, proxy, client):
        self.proxy, self.client, self.upstream = proxy, client, None
        self.is_forgotten = self.has_lost = self.loses_answer = False
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def run(self):
        proxy = self.proxy
        proxy.pairs.add(self)
        self.task = asyncio.current_task()
        try:
            if proxy.name == "cut":
                proxy.faulty += 1
                return self.reset()
            while proxy.name in ("hang", "half_open"):
                proxy.faulty += 1
                await proxy.changed.wait()
            self.upstream = socket.socket()
            self.upstream.setblocking(False)
            self.upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await proxy.loop.sock_connect(self.upstream, ("127.0.0.1", proxy.upstream))
            except OSError:
                return self.reset()
            await asyncio.gather(self.pass_on(self.client, self.upstream, True),
                                 self.pass_on(self.upstream, self.client, False))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            proxy.pairs.discard(self)
            for one in (self.client, self.upstream):
                if one:
                    one.close()

    async def pass_on(self, source, sink, is_question):
        loop = self.proxy.loop
        while True:
            try:
                piece = await loop.sock_recv(source, PIECE)
            except OSError:
                return self.is_forgotten or self.reset()
            if not piece:
                break
            async for part in self.left_of(piece, is_question):
                await loop.sock_sendall(sink, part)
        if not self.is_forgotten:
            sink.shutdown(socket.SHUT_WR)

    async def left_of(self, piece, is_question):
        """What the fault leaves to be sent, when it is to be sent."""
        proxy = self.proxy
        if proxy.name not in ("none", "lose_answers"):
            proxy.faulty += 1
        while proxy.name == "hang" and not self.is_forgotten:
            await proxy.changed.wait()
        if proxy.name == "delay":
            await asyncio.sleep(random.uniform(*proxy.delays))
        timeout = RETRANSMISSION_S
        while proxy.name == "loss" and random.random() < proxy.share:
            await asyncio.sleep(timeout)
            timeout *= 2
        while proxy.name == "slow" and piece:
            step = max(1, proxy.rate // 20)
            yield piece[:step]
            piece = piece[step:]
            await asyncio.sleep(step / proxy.rate)
        if proxy.name == "swallow" or proxy.name == "one_way" and not is_question:
            self.has_lost = True
        if proxy.name == "lose_answers" and is_question:
            self.loses_answer = self.loses_answer or proxy.word in piece
        elif self.loses_answer and not is_question:
            proxy.faulty += 1
            self.reset()
            return
        if piece and not (self.is_forgotten or self.has_lost):
            proxy.answers += not is_question
            yield piece

    def reset(self):
        """Both sides get an RST in place of a FIN."""
        for one in (self.client, self.upstream):
            if one and one.fileno() >= 0:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.task.cancel()

    def forget_upstream(self):
        self.is_forgotten = True
        if self.upstream:
            self.upstream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.upstream.shutdown(socket.SHUT_RDWR)
