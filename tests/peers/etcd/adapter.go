// An adapter for etcd's raft (go.etcd.io/etcd/raft, version 3.4): its RawNode, driven step by step.
// The protocol is that of spec/adapter_protocol.md.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/ioutil"
	"log"
	"math"
	"os"
	"strconv"

	"go.etcd.io/etcd/raft"
	"go.etcd.io/etcd/raft/raftpb"
)

// The codes of the protocol's errors.
const (
	notSupported = 10
	crash        = 13
)

// disk is what survives a crash. Its log starts empty, as in the paper, since it knows the voters
// without configuration entries.
type disk struct {
	*raft.MemoryStorage
	voters []uint64
}

func (d *disk) InitialState() (raftpb.HardState, raftpb.ConfState, error) {
	hard, conf, err := d.MemoryStorage.InitialState()
	conf.Voters = d.voters
	return hard, conf, err
}

// server is one server: what is durable, and while it is up, the node itself.
type server struct {
	id   uint64
	disk *disk
	node *raft.RawNode
}

// cluster is all there is to an adapter.
type cluster struct {
	ids     []uint64
	config  raft.Config
	servers map[uint64]*server
}

// reset puts a server back to the beginning, disk included.
func (c *cluster) reset(id uint64) error {
	s := &server{id: id, disk: &disk{raft.NewMemoryStorage(), c.ids}}
	c.servers[id] = s
	return c.start(s)
}

// start lets a server come up with what is on its disk.
func (c *cluster) start(s *server) error {
	config := c.config
	config.ID, config.Storage = s.id, s.disk
	node, err := raft.NewRawNode(&config)
	s.node = node
	return err
}

// settle does what a user of the library must: write to the disk, then send, until all is done.
// It hands on what is to be applied, of whatever kind, as it comes.
func (s *server) settle() ([]message, []applied, error) {
	sent, handed := []message{}, []applied{}
	for s.node.HasReady() {
		ready := s.node.Ready()
		if err := s.disk.Append(ready.Entries); err != nil {
			return nil, nil, err
		}
		if !raft.IsEmptyHardState(ready.HardState) {
			if err := s.disk.SetHardState(ready.HardState); err != nil {
				return nil, nil, err
			}
		}
		for _, m := range ready.Messages {
			encoded, err := encodeMessage(m)
			if err != nil {
				return nil, nil, err
			}
			sent = append(sent, encoded)
		}
		for _, e := range ready.CommittedEntries {
			handed = append(handed, applied{e.Index, entry{e.Term, string(e.Data)}})
		}
		s.node.Advance(ready)
	}
	return sent, handed, nil
}

// do lets something happen to a server.
func (c *cluster) do(s *server, r request) error {
	switch r.Type {
	case "election_timeout":
		return s.node.Campaign()
	case "heartbeat_timeout":
		// One tick is a heartbeat timeout, but for an election it takes longer than any run.
		s.node.Tick()
		return nil
	case "propose":
		return s.node.Propose([]byte(r.Command))
	case "deliver":
		bytes, err := hex.DecodeString(r.Payload)
		if err != nil {
			return err
		}
		var m raftpb.Message
		if err := m.Unmarshal(bytes); err != nil {
			return err
		}
		return s.node.Step(m)
	case "restart":
		return c.start(s)
	case "reset":
		return c.reset(s.id)
	}
	return unsupported{"no request " + r.Type}
}

// declines are errors by which etcd says, as it should, that an event changes nothing.
func declines(err error) bool {
	return errors.Is(err, raft.ErrProposalDropped) || errors.Is(err, raft.ErrStepPeerNotFound)
}

func (c *cluster) event(r request) (reply interface{}, err error) {
	s := c.servers[r.Node]
	if s == nil {
		return nil, unsupported{fmt.Sprintf("no server %d", r.Node)}
	}
	if r.Type == "crash" {
		s.node = nil
		return crashOk{r.Type + "_ok", r.MsgID}, nil
	}
	// What the library does not survive is its failure; the server is reset before it goes on.
	defer func() {
		if p := recover(); p != nil {
			err = failure{fmt.Sprint("panic: ", p)}
		}
	}()
	if err := c.do(s, r); err != nil && !declines(err) {
		return nil, err
	}
	s = c.servers[r.Node]
	sent, handed, err := s.settle()
	if err != nil {
		return nil, err
	}
	state, err := s.observe()
	if err != nil {
		return nil, err
	}
	return eventOk{r.Type + "_ok", r.MsgID, sent, handed, state, s.fingerprint()}, nil
}

func (c *cluster) init(r request) (interface{}, error) {
	if err := c.configure(r.Options); err != nil {
		return nil, err
	}
	c.ids, c.servers = r.Nodes, map[uint64]*server{}
	states := []initialState{}
	for _, id := range c.ids {
		if err := c.reset(id); err != nil {
			return nil, err
		}
		state, err := c.servers[id].observe()
		if err != nil {
			return nil, err
		}
		states = append(states, initialState{id, state, c.servers[id].fingerprint()})
	}
	return initOk{"init_ok", r.MsgID, "etcd raft 3.4", []string{}, []string{}, []string{"applied"}, states}, nil
}

// configure reads the options: pre_vote, check_quorum (true or false), max_size_per_msg (bytes).
// By default a message carries one entry, so that each is acknowledged by itself. With more, a leader's
// entry of its own is always acknowledged along with those before it, and some bugs cannot show.
func (c *cluster) configure(options map[string]string) error {
	c.config = raft.Config{
		ElectionTick: math.MaxInt32, HeartbeatTick: 1,
		MaxSizePerMsg: 0, MaxInflightMsgs: 256,
		DisableProposalForwarding: true,
		Logger:                    &raft.DefaultLogger{Logger: log.New(ioutil.Discard, "", 0)},
	}
	for name, value := range options {
		var err error
		switch name {
		case "pre_vote":
			c.config.PreVote, err = strconv.ParseBool(value)
		case "check_quorum":
			c.config.CheckQuorum, err = strconv.ParseBool(value)
		case "max_size_per_msg":
			c.config.MaxSizePerMsg, err = strconv.ParseUint(value, 10, 64)
		default:
			err = fmt.Errorf("no option %s; there are pre_vote, check_quorum, max_size_per_msg", name)
		}
		if err != nil {
			return unsupported{err.Error()}
		}
	}
	return nil
}

func (c *cluster) answer(r request) interface{} {
	var reply interface{}
	var err error
	if r.Type == "init" {
		reply, err = c.init(r)
	} else {
		reply, err = c.event(r)
	}
	switch err := err.(type) {
	case nil:
		return reply
	case unsupported:
		return errorReply{"error", r.MsgID, notSupported, err.text}
	default:
		return errorReply{"error", r.MsgID, crash, err.Error()}
	}
}

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	c := &cluster{}
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			return
		}
		if err := replies.Encode(c.answer(r)); err != nil {
			log.Fatal(err)
		}
		if err := out.Flush(); err != nil {
			log.Fatal(err)
		}
	}
}
