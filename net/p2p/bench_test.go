package p2p

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	mss "github.com/multiformats/go-multistream"

	"dyschord/dht"
)

// BenchmarkCalls measures calls to another process over loopback in three ways: through
// Env, with a new libp2p stream for each call, and over one plain TCP connection that
// carries many calls at once with the same gathering writer and no encryption. The
// last is the floor, the second what a straightforward use of libp2p costs.
func BenchmarkCalls(b *testing.B) {
	server := startServer(b)
	for _, way := range []struct {
		name string
		dial func(*testing.B, serverAddrs) func(n, size, callers int)
	}{{"env", benchEnv}, {"stream_per_call", benchStreams}, {"plain_tcp", benchTCP}} {
		run := way.dial(b, server)
		for _, size := range []int{100, 1024} {
			for _, callers := range []int{1, 64} {
				b.Run(fmt.Sprintf("%s/size=%d/callers=%d", way.name, size, callers), func(b *testing.B) {
					run(callers, size, callers) // connections are up, time-outs learnt
					before := cpuTime() + server.cpuTime()
					b.ResetTimer()
					run(b.N, size, callers)
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
					used := cpuTime() + server.cpuTime() - before
					b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-us/call")
				})
			}
		}
	}
}

// serverAddrs is where the other process listens.
type serverAddrs struct {
	host, libp2p, tcp string
	pid               int
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpuTime is the same of the other process, in steps of 10 ms; 0 where there is no /proc.
func (s serverAddrs) cpuTime() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0
	}
	var user, system int64
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}

const serverEnv = "DYSCHORD_BENCH_SERVER"

// startServer runs this test binary once more, as the server.
func startServer(b *testing.B) (at serverAddrs) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(line)
	return serverAddrs{fields[0], fields[1], fields[2], cmd.Process.Pid}
}

// serve is the life of the other process: it ends with its standard input.
func serve() error {
	h, err := benchHost()
	if err != nil {
		return err
	}
	defer h.Close()
	streams, addr, err := benchNet()
	if err != nil {
		return err
	}
	defer streams.close()
	streams.swarm.SetStreamHandler(func(s network.Stream) {
		defer s.Close()
		if _, _, err := streams.mux.Negotiate(s); err == nil {
			io.Copy(s, s)
		}
	})
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer plain.Close()
	go func() {
		for {
			conn, err := plain.Accept()
			if err != nil {
				return
			}
			go echoTCP(conn)
		}
	}()
	fmt.Println(h.Addrs()[0], addr, plain.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// echo is the message of tests and benchmarks: its handler sends it back.
type echo struct {
	Num  uint64   `cbor:"1,keyasint,omitempty"`
	Data []byte   `cbor:"2,keyasint,omitempty"`
	Peer dht.Peer `cbor:"3,keyasint,omitempty"`
}

func (*echo) Code() uint16                 { return 200 }
func (m *echo) EachPeer(f func(*dht.Peer)) { f(&m.Peer) }

// echoer answers echo messages inline.
type echoer struct{}

func (echoer) Kinds() []dht.Kind {
	return []dht.Kind{{Code: 200, Name: "echo", New: func() dht.Message { return new(echo) }}}
}
func (echoer) Handle(_ dht.Peer, req dht.Message, r dht.Reply) { r.Send(req, nil) }
func (echoer) Peers() iter.Seq[dht.Peer]                       { return func(func(dht.Peer) bool) {} }

func benchHost() (*Host, error) {
	h, err := benchHostConfig(Config{})
	if err != nil {
		return nil, err
	}
	return h, h.Start()
}

// benchHostConfig makes a host that answers echo messages, with a new key.
func benchHostConfig(cfg Config) (*Host, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	cfg.Key, cfg.Inc = key, 1
	h, err := New(cfg)
	if err == nil {
		h.Serve(echoer{})
	}
	return h, err
}

func benchEnv(b *testing.B, at serverAddrs) func(n, size, callers int) {
	h, err := benchHost()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { h.Close() })
	server, err := h.Resolve(context.Background(), at.host)
	if err != nil {
		b.Fatal(err)
	}
	return func(n, size, callers int) {
		data := make([]byte, size)
		h.Do(context.Background(), func(ctx context.Context) {
			env, left, busy := h.Env(), n, callers
			done := env.Signal()
			for range callers {
				env.Go("caller", func(ctx context.Context) {
					for left > 0 {
						left--
						if _, err := dht.Call(ctx, env, server, &echo{Data: data}); err != nil {
							b.Error(err)
							break
						}
					}
					busy--
					done.Notify()
				})
			}
			for busy > 0 {
				done.Wait(ctx)
			}
		})
	}
}

const benchProtocol = protocol.ID("/bench/1")

// benchNet is libp2p without anything of ours above it.
func benchNet() (*libp2pNet, string, error) {
	key, err := NewKey()
	if err != nil {
		return nil, "", err
	}
	pid, err := peer.IDFromPrivateKey(key.priv)
	if err != nil {
		return nil, "", err
	}
	n, err := newNet(Config{Key: key}.withDefaults(), pid, &network.NullResourceManager{})
	if err != nil {
		return nil, "", err
	}
	n.mux.AddHandler(benchProtocol, nil)
	if err := n.listen([]ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}); err != nil {
		return nil, "", err
	}
	return n, n.swarm.ListenAddresses()[0].String() + "/p2p/" + pid.String(), nil
}

func benchStreams(b *testing.B, at serverAddrs) func(n, size, callers int) {
	client, _, err := benchNet()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.close)
	info, err := peer.AddrInfoFromString(at.libp2p)
	if err != nil {
		b.Fatal(err)
	}
	client.peers.AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
	call := func(data, answer []byte) error {
		s, err := client.swarm.NewStream(context.Background(), info.ID)
		if err != nil {
			return err
		}
		defer s.Close()
		lazy := mss.NewMSSelect(s, benchProtocol)
		if _, err := lazy.Write(data); err != nil {
			return err
		}
		_, err = io.ReadFull(lazy, answer)
		return err
	}
	return func(n, size, callers int) {
		parallel(b, n, size, callers, call)
	}
}

// parallel makes n calls from goroutines.
func parallel(b *testing.B, n, size, callers int, call func(data, answer []byte) error) {
	var wg sync.WaitGroup
	for i := range callers {
		mine := n / callers
		if i < n%callers {
			mine++
		}
		wg.Go(func() {
			data, answer := make([]byte, size), make([]byte, size)
			for range mine {
				if err := call(data, answer); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// plainConn carries many calls at once over a TCP connection: length, id, bytes.
type plainConn struct {
	conn net.Conn
	wake chan struct{}

	mu      sync.Mutex
	buf     []byte
	last    uint32
	pending map[uint32]chan []byte
	asleep  bool
}

func newPlainConn(conn net.Conn) *plainConn {
	return &plainConn{conn: conn, wake: make(chan struct{}, 1), pending: map[uint32]chan []byte{}}
}

// push queues a frame. The caller holds the lock.
func (p *plainConn) push(id uint32, data []byte) {
	p.buf = binary.BigEndian.AppendUint32(p.buf, uint32(len(data)))
	p.buf = binary.BigEndian.AppendUint32(p.buf, id)
	p.buf = append(p.buf, data...)
	if p.asleep {
		p.asleep = false
		p.wake <- struct{}{}
	}
}

func (p *plainConn) write() {
	var spare []byte
	for {
		runtime.Gosched()
		p.mu.Lock()
		for len(p.buf) == 0 {
			p.asleep = true
			p.mu.Unlock()
			if _, open := <-p.wake; !open {
				return
			}
			p.mu.Lock()
		}
		out := p.buf
		p.buf = spare[:0]
		p.mu.Unlock()
		if _, err := p.conn.Write(out); err != nil {
			return
		}
		spare = out
	}
}

// read gives each frame to f, whose data is good until f returns.
func (p *plainConn) read(f func(id uint32, data []byte)) {
	r := bufio.NewReaderSize(p.conn, 64<<10)
	for {
		head, err := r.Peek(8)
		if err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(head)) + 8
		frame, err := r.Peek(n)
		if err != nil {
			return
		}
		f(binary.BigEndian.Uint32(frame[4:]), frame[8:])
		r.Discard(n)
	}
}

func echoTCP(conn net.Conn) {
	p := newPlainConn(conn)
	go p.write()
	p.read(func(id uint32, data []byte) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.push(id, data)
	})
}

func benchTCP(b *testing.B, at serverAddrs) func(n, size, callers int) {
	conn, err := net.Dial("tcp", at.tcp)
	if err != nil {
		b.Fatal(err)
	}
	p := newPlainConn(conn)
	var wg sync.WaitGroup
	wg.Go(p.write)
	wg.Go(func() {
		p.read(func(id uint32, data []byte) {
			p.mu.Lock()
			answer := p.pending[id]
			delete(p.pending, id)
			p.mu.Unlock()
			answer <- append([]byte(nil), data...)
		})
	})
	b.Cleanup(func() {
		conn.Close()
		close(p.wake)
		wg.Wait()
	})
	return func(n, size, callers int) {
		parallel(b, n, size, callers, func(data, answer []byte) error {
			mine := make(chan []byte, 1)
			p.mu.Lock()
			p.last++
			p.pending[p.last] = mine
			p.push(p.last, data)
			p.mu.Unlock()
			copy(answer, <-mine)
			return nil
		})
	}
}
