#!/usr/bin/env python3
"""Seven validators for hours: real processes over TCP that lose packets, are killed and whose clocks are set.

    python3 soak.py --program target/release/klay --engine justified --minutes 120 --data ./soak

Each node has a network namespace on one bridge; of the packets from one node to another, two in a hundred are lost
(HTB with a classifier that draws by lot, on the bridge's side, so that the sender does not notice). Every minute one
of the nodes 1 to N-1 in turn is killed (SIGKILL) and started again ten seconds later; node 0 is never killed, so its
memory can be watched. Twice an hour a clock is set: forth by five seconds at one node and, half an hour later, right
again; back by five seconds in the next hour. (A library before libc adds what a file says to the time of day.) A
client sends transfers to node 0 all the while. DATA/summary.txt is written anew every minute, DATA/events.log grows.
Linux, root, ip, tc, cc.
"""
import argparse, http.client, json, os, signal, subprocess, sys, threading, time

CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long *ahead;
__attribute__((constructor)) static void begin(void) {
    int f = open(getenv("CLOCK_AHEAD"), O_RDONLY);
    void *p = f < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, f, 0);
    if (p != MAP_FAILED) ahead = p;
}
int clock_gettime(clockid_t id, struct timespec *t) {
    int r = syscall(SYS_clock_gettime, id, t);
    if (!r && ahead && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += *ahead;
    return r;
}
int gettimeofday(struct timeval *t, void *z) {
    struct timespec s; (void)z; clock_gettime(CLOCK_REALTIME, &s);
    t->tv_sec = s.tv_sec; t->tv_usec = s.tv_nsec / 1000; return 0;
}
time_t time(time_t *t) {
    struct timespec s; clock_gettime(CLOCK_REALTIME, &s);
    if (t) *t = s.tv_sec;
    return s.tv_sec;
}
"""

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument('--program', required=True)
a.add_argument('--engine', default='justified')
a.add_argument('--validators', type=int, default=7)
a.add_argument('--minutes', type=float, default=120)
a.add_argument('--loss', type=float, default=2, help='packets of a hundred between nodes that are lost')
a.add_argument('--rate', type=float, default=5, help='transfers a second')
a.add_argument('--down', type=float, default=10, help='seconds until a killed node is started again')
a.add_argument('--clock', type=int, default=5, help='seconds by which a clock is set')
a.add_argument('--net', type=int, default=81, help='the network is 10.NET.0.0/24')
a.add_argument('--data', required=True)
o = a.parse_args()
N, D, NAME = o.validators, os.path.abspath(o.data), f'sk{o.net}'
K = os.path.abspath(o.program)
address = [f'10.{o.net}.0.{n + 1}' for n in range(N)]
host = f'10.{o.net}.0.254'


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def must(*words):
    done = run(*words)
    if done.returncode:
        sys.exit(f'{" ".join(words)}: {done.stderr}')


def ip(text): must('ip', *text.split())


def lossy(link):
    """Loses packets to this link but those of this host: a class whose queue holds nothing, chosen by lot."""
    tc = lambda text, *more: must('tc', *text.split(), *more)
    tc(f'qdisc add dev {link} root handle 1: htb default 10')
    tc(f'class add dev {link} parent 1: classid 1:10 htb rate 10gbit')
    tc(f'class add dev {link} parent 1: classid 1:20 htb rate 10gbit')
    tc(f'qdisc add dev {link} parent 1:20 handle 20: pfifo limit 0')
    own = int.from_bytes(bytes(map(int, host.split('.'))), 'big')
    # load sender; ours: keep; load a random word; above the share: keep; lose; keep
    code = f'6,32 0 0 26,21 3 0 {own},32 0 0 4294963256,37 1 0 {int(o.loss / 100 * 2**32)},6 0 0 4294967295,6 0 0 0'
    tc(f'filter add dev {link} parent 1: protocol all bpf bytecode', code, 'flowid', '1:20')


def remove():
    for n in range(N):
        run('ip', 'netns', 'del', f'{NAME}{n}')
        run('ip', 'link', 'del', f'{NAME}v{n}')
    run('ip', 'link', 'del', f'{NAME}br')


def make():
    remove()
    ip(f'link add {NAME}br type bridge')
    ip(f'addr add {host}/24 dev {NAME}br')
    ip(f'link set {NAME}br up')
    for n in range(N):
        ns = f'{NAME}{n}'
        ip(f'netns add {ns}')
        ip(f'link add {NAME}v{n} type veth peer name eth0 netns {ns}')
        ip(f'link set {NAME}v{n} master {NAME}br up')
        run('ip', '-n', ns, 'link', 'set', 'eth0', 'gso_max_segs', '1')
        ip(f'-n {ns} addr add {address[n]}/24 dev eth0')
        ip(f'-n {ns} link set eth0 up')
        ip(f'-n {ns} link set lo up')
        lossy(f'{NAME}v{n}')


class Seen:
    """What the watchers saw: heads, first sight of each height, hashes."""
    lock = threading.Lock()
    head = [0] * N
    status = [None] * N
    first = {}      # height -> when some node had it
    best = 0
    hashes = {}     # height -> (hash, state root)
    compared = [0] * N
    forks = []
    refused = []


process, started = [None] * N, [0.0] * N
ahead, events = [0] * N, None
begin = time.time()


def note(text):
    events.write(f'{time.strftime("%H:%M:%S", time.gmtime())} {time.time() - begin:7.1f} {text}\n')
    events.flush()


def start(n):
    env = dict(os.environ, LD_PRELOAD=f'{D}/clock.so', CLOCK_AHEAD=f'{D}/clock{n}')
    log = open(f'{D}/net/node{n}/log', 'a')
    process[n] = subprocess.Popen(['ip', 'netns', 'exec', f'{NAME}{n}', K, 'node', '--config', f'{D}/net/node{n}/node.json'],
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
    started[n] = time.time()


def set_clock(n, seconds):
    ahead[n] = seconds
    with open(f'{D}/clock{n}', 'r+b') as f:
        f.write(seconds.to_bytes(8, 'little', signed=True))
    note(f'clock of node {n}: {seconds:+} s')


class Client:
    def __init__(self, n): self.n, self.c = n, None

    def ask(self, path, body=None):
        try:
            self.c = self.c or http.client.HTTPConnection(address[self.n], 8551, timeout=3)
            self.c.request('POST' if body else 'GET', path, body and json.dumps(body), {'content-type': 'application/json'})
            return self.c.getresponse().read().decode()
        except Exception:
            self.c = None
            return None

    def number(self):
        text = self.ask('/', {'jsonrpc': '2.0', 'id': 1, 'method': 'eth_blockNumber', 'params': []})
        return int(json.loads(text)['result'], 16) if text else None

    def blocks(self, numbers):
        text = self.ask('/', [{'jsonrpc': '2.0', 'id': i, 'method': 'eth_getBlockByNumber', 'params': [hex(i), False]} for i in numbers])
        # A batch of nothing is answered by one error.
        return {r['id']: r.get('result') for r in json.loads(text)} if text and len(numbers) else {}


def watch(n):
    client, turn = Client(n), 0
    while True:
        time.sleep(0.25)
        try:
            head = client.number()
            if head is None: continue
            now = time.time()
            with Seen.lock:
                Seen.head[n] = head
                for h in range(Seen.best + 1, head + 1): Seen.first[h] = now
                Seen.best = max(Seen.best, head)
            turn += 1
            if turn % 20: continue
            # Hash and state of every block at every node.
            at = Seen.compared[n]
            for h, b in sorted(client.blocks(range(at + 1, min(head, at + 50) + 1)).items()):
                if not b or h != Seen.compared[n] + 1: break
                with Seen.lock:
                    mine = (b['hash'], b['stateRoot'])
                    if Seen.hashes.setdefault(h, mine) != mine:
                        Seen.forks.append((h, n)); note(f'FORK: block {h} at node {n}: {mine}, elsewhere {Seen.hashes[h]}')
                    Seen.compared[n] = h
            text = client.ask('/status')
            if text: Seen.status[n] = json.loads(text)
        except Exception as e:
            note(f'watcher of {n}: {e!r}')


def rss(pid):
    try:
        for line in open(f'/proc/{pid}/status'):
            if line.startswith('VmRSS'): return int(line.split()[1]) / 1024
    except OSError: return 0
    return 0


def wal(n):
    folder = f'{D}/net/node{n}/consensus'
    try: return sum(os.path.getsize(f'{folder}/{f}') for f in os.listdir(folder))
    except OSError: return 0


def packets():
    lost = sent = 0
    for n in range(N):
        text = subprocess.run(['tc', '-s', 'qdisc', 'show', 'dev', f'{NAME}v{n}'], capture_output=True, text=True).stdout
        for line in text.split('\n'):
            if line.startswith('qdisc htb'): root = True
            elif line.startswith('qdisc'): root = False
            elif 'Sent' in line and root:
                sent += int(line.split('Sent')[1].split()[2]); lost += int(line.split('dropped')[1].split(',')[0])
    return sent, lost


def median(v): return sorted(v)[len(v) // 2] if v else 0


memory, logs, rejoined, missing, kills, steps, counters = [], [], [], [], 0, [], {}


def count():
    """Counters of the processes that live, and of those that were killed when they were last seen."""
    total = {}
    for n in range(N):
        s = Seen.status[n]
        if s:
            key = (n, started[n])
            counters[key] = s['counters']
    for c in counters.values():
        for k, v in c.items(): total[k] = total.get(k, 0) + v
    return total


def loaded():
    for line in open(f'{D}/load.out'):
        try: yield json.dumps({k: v for k, v in json.loads(line).items() if k != 'blocks'})
        except ValueError: yield line.strip()


def summary(done=False):
    now = time.time()
    with Seen.lock:
        first, best, heads = dict(Seen.first), Seen.best, list(Seen.head)
    times = [first[h] for h in sorted(first)]
    gaps = [b - c for c, b in zip(times, times[1:])] + ([now - times[-1]] if times else [])
    m = [rss(process[n].pid) for n in range(N)]
    memory.append((now - begin, m[0]))
    logs.append(max(wal(n) for n in range(N)))
    hour = [v for t, v in memory if t >= 3600]
    early = [v for t, v in memory if t >= 600]
    sent, lost = packets()
    load = ' '.join(loaded())
    text = f"""{'FINISHED' if done else 'running'}: {o.engine}, {N} validators, {(now - begin) / 60:.1f} of {o.minutes:.0f} minutes, 1 s blocks, {o.rate} transfers a second
heads {heads}, best {best}, {best / max(1, now - begin):.3f} blocks a second
packets to nodes: {sent + lost}, {lost} of them lost ({100 * lost / max(1, sent + lost):.2f} %; those of clients are not)
kills: {kills}; back at the head after the start: {len(rejoined)} times, median {median(rejoined):.1f} s, longest {max(rejoined, default=0):.1f} s; not back yet: {missing}
clock set: {steps}
time between two blocks: median {median(gaps):.2f} s, 99th of 100 {sorted(gaps)[int(len(gaps) * 0.99)] if gaps else 0:.2f} s, longest {max(gaps, default=0):.2f} s; above 2 s: {sum(g > 2 for g in gaps)}, above 4 s: {sum(g > 4 for g in gaps)}, above 10 s: {sum(g > 10 for g in gaps)}, above 28 s: {sum(g > 28 for g in gaps)}
forks: {len(Seen.forks)}; hash and state root compared at all nodes up to block {min(Seen.compared)}
counters, over all processes: {count()}
resident memory of node 0 (never killed), MiB: first {memory[0][1]:.1f}, after 10 minutes {early[0] if early else 0:.1f}, after an hour {hour[0] if hour else 0:.1f}, largest since {max(hour, default=0):.1f}, now {m[0]:.1f}; growth since the hour {100 * (m[0] / hour[0] - 1) if hour else 0:.1f} %; all nodes now {[round(v) for v in m]}
consensus log, largest of any node: {max(logs) / 2**20:.2f} MiB, now {logs[-1] / 2**20:.2f} MiB
refused to start or ended by itself: {Seen.refused}
longest gaps: {[(h, round(first[h] - first[h - 1], 1)) for h in sorted((h for h in first if h - 1 in first), key=lambda h: first[h - 1] - first[h])[:12]]}
load: {load}
"""
    with open(f'{D}/summary.tmp', 'w') as f: f.write(text)
    os.replace(f'{D}/summary.tmp', f'{D}/summary.txt')
    with open(f'{D}/minutes.csv', 'a') as f: f.write(f'{now - begin:.0f},{best},{min(heads)},{m[0]:.1f},{max(m):.1f},{logs[-1]},{max(gaps[-70:], default=0):.2f}\n')


def main():
    global events, kills, begin
    os.makedirs(D, exist_ok=True)
    events = open(f'{D}/events.log', 'a')
    for n in range(N): open(f'{D}/clock{n}', 'wb').write(bytes(8))
    open(f'{D}/clock.c', 'w').write(CLOCK)
    must('cc', '-O2', '-shared', '-fPIC', '-o', f'{D}/clock.so', f'{D}/clock.c')
    make()
    with open(f'{D}/alloc.json', 'w') as f: subprocess.run([K, 'load', '--print-alloc'], stdout=f, check=True)
    must(K, 'init', f'--validators={N}', '--engine=' + o.engine, '--host=' + ','.join(address), '--http=0.0.0.0:8551', '--ws=off',
         '--chain-id=2019', f'--alloc={D}/alloc.json', f'--data={D}/net')
    for n in range(N): start(n)
    for n in range(N): threading.Thread(target=watch, args=(n,), daemon=True).start()
    while min(Seen.head) < 3:
        time.sleep(0.2)
        if time.time() - begin > 120: sys.exit('no blocks')
    begin = time.time()
    Seen.first.clear()
    note('begin')
    load = subprocess.Popen([K, 'load', f'--url=http://{address[0]}:8551', f'--rate={o.rate}', f'--seconds={int(o.minutes * 60 - 30)}',
                             '--patience=120'], stdin=subprocess.DEVNULL, stdout=open(f'{D}/load.out', 'w'), stderr=subprocess.STDOUT)
    plan = sorted([(60 * (k + 1), 'kill', 1 + k % (N - 1)) for k in range(int(o.minutes) - 1)]
                  + [(m * 60 + 30, 'clock', (n, s)) for hour in range(int(o.minutes / 60) + 1)
                     for m, n, s in [(60 * hour + 15, 2 + hour % (N - 2), o.clock * (-1) ** hour), (60 * hour + 45, 2 + hour % (N - 2), 0)]], key=lambda e: e[0])
    back, waits, next_summary = {}, {}, 60
    while time.time() - begin < o.minutes * 60:
        time.sleep(0.2)
        now = time.time() - begin
        while plan and plan[0][0] <= now:
            _, what, which = plan.pop(0)
            if what == 'kill' and process[which].poll() is None and which not in back:
                os.kill(process[which].pid, signal.SIGKILL); process[which].wait()
                kills += 1; back[which] = now + o.down
                with Seen.lock: Seen.head[which] = 0
                note(f'killed node {which} at {Seen.best}')
            elif what == 'clock':
                set_clock(*which); steps.append((round(now / 60), *which))
        for n, at in list(back.items()):
            if at <= now:
                start(n); del back[n]; waits[n] = (time.time(), Seen.best)
        for n, (since, head) in list(waits.items()):
            if Seen.head[n] >= head:
                rejoined.append(time.time() - since); del waits[n]
        missing[:] = sorted(waits)
        for n in range(N):
            if n not in back and process[n].poll() is not None:
                note(f'node {n} ended by itself with {process[n].returncode}'); Seen.refused.append((n, round(now))); start(n)
        if now >= next_summary:
            next_summary += 60; summary()
    # All catch up, every block is compared.
    end = time.time() + 60
    for n in list(back): start(n)
    while time.time() < end and min(Seen.compared) < Seen.best - 10: time.sleep(1)
    load.send_signal(signal.SIGINT) if load.poll() is None else None
    summary(done=True)
    note('end')


try:
    main()
finally:
    for p in process:
        if p: p.kill()
    time.sleep(1)
    remove()
