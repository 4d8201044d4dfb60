// What can be seen of a server, and everything that can influence it.
package main

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"go.etcd.io/etcd/raft"
	"go.etcd.io/etcd/raft/raftpb"
)

var roles = map[raft.StateType]string{
	raft.StateFollower: "follower", raft.StatePreCandidate: "follower",
	raft.StateCandidate: "candidate", raft.StateLeader: "leader",
}

// observe reads the log from the disk: by the end of an event, all of it is there.
func (s *server) observe() (state, error) {
	status := s.node.BasicStatus()
	entries, err := s.entries()
	if err != nil {
		return state{}, err
	}
	observed := state{
		CurrentTerm: status.Term, Role: roles[status.RaftState],
		Log: encodeEntries(entries), CommitIndex: status.Commit,
	}
	if status.Vote != raft.None {
		observed.VotedFor = &status.Vote
	}
	return observed, nil
}

func (s *server) entries() ([]raftpb.Entry, error) {
	first, err := s.disk.FirstIndex()
	if err != nil {
		return nil, err
	}
	last, err := s.disk.LastIndex()
	if err != nil || last < first {
		return nil, err
	}
	return s.disk.Entries(first, last+1, 1<<62)
}

// ignored are the fields of etcd's raft struct that no behaviour depends on here: the timers, since
// they never fire by themselves (elections are called, and a tick always completes a heartbeat
// interval), and what is fixed when the server starts.
var ignored = map[string]bool{
	"electionElapsed": true, "heartbeatElapsed": true, "randomizedElectionTimeout": true,
	"logger": true, "tick": true, "step": true, "id": true, "maxMsgSize": true,
	"maxUncommittedSize": true, "electionTimeout": true, "heartbeatTimeout": true,
	"checkQuorum": true, "preVote": true, "disableProposalForwarding": true, "isLearner": true,
}

// fingerprint prints every other field, and the disk.
func (s *server) fingerprint() string {
	var out strings.Builder
	node := reflect.ValueOf(s.node).Elem().FieldByName("raft").Elem()
	for i := 0; i < node.NumField(); i++ {
		name := node.Type().Field(i).Name
		if ignored[name] {
			continue
		}
		out.WriteString(name)
		out.WriteByte('=')
		if name == "raftLog" {
			writeLog(&out, node.Field(i).Elem())
		} else {
			write(&out, node.Field(i))
		}
		out.WriteByte(' ')
	}
	hard, _, _ := s.disk.InitialState()
	entries, _ := s.entries()
	fmt.Fprintf(&out, "disk={%d %d %d %v}", hard.Term, hard.Vote, hard.Commit, entries)
	return out.String()
}

// writeLog leaves out the storage, which is the disk, and the logger.
func writeLog(out *strings.Builder, value reflect.Value) {
	for _, name := range []string{"committed", "applied"} {
		fmt.Fprintf(out, "%s:%d,", name, value.FieldByName(name).Uint())
	}
	unstable := value.FieldByName("unstable")
	fmt.Fprintf(out, "offset:%d,unstable:", unstable.FieldByName("offset").Uint())
	write(out, unstable.FieldByName("entries"))
}

// write prints a value in full: what pointers point to, and maps in the order of their keys.
func write(out *strings.Builder, value reflect.Value) {
	switch value.Kind() {
	case reflect.Ptr, reflect.Interface:
		if value.IsNil() {
			out.WriteString("nil")
		} else {
			write(out, value.Elem())
		}
	case reflect.Struct:
		out.WriteByte('{')
		for i := 0; i < value.NumField(); i++ {
			if name := value.Type().Field(i).Name; name != "logger" {
				out.WriteString(name)
				out.WriteByte(':')
				write(out, value.Field(i))
				out.WriteByte(',')
			}
		}
		out.WriteByte('}')
	case reflect.Map:
		writeMap(out, value)
	case reflect.Slice, reflect.Array:
		if value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.Uint8 {
			out.WriteString(hex.EncodeToString(value.Bytes()))
			return
		}
		out.WriteByte('[')
		for i := 0; i < value.Len(); i++ {
			write(out, value.Index(i))
			out.WriteByte(',')
		}
		out.WriteByte(']')
	case reflect.Func, reflect.Chan:
	default:
		fmt.Fprintf(out, "%v", value)
	}
}

func writeMap(out *strings.Builder, value reflect.Value) {
	parts := []string{}
	for _, key := range value.MapKeys() {
		var part strings.Builder
		write(&part, key)
		part.WriteByte(':')
		write(&part, value.MapIndex(key))
		parts = append(parts, part.String())
	}
	sort.Strings(parts)
	fmt.Fprintf(out, "map%v", parts)
}
