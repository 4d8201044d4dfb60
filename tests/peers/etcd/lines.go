// The lines of the protocol.
package main

import (
	"encoding/hex"

	"go.etcd.io/etcd/raft/raftpb"
)

type request struct {
	Type    string            `json:"type"`
	MsgID   uint64            `json:"msg_id"`
	Node    uint64            `json:"node"`
	Nodes   []uint64          `json:"nodes"`
	Options map[string]string `json:"options"`
	Command string            `json:"command"`
	Payload string            `json:"payload"`
}

type entry struct {
	Term    uint64 `json:"term"`
	Command string `json:"command"`
}

type applied struct {
	Index uint64 `json:"index"`
	entry
}

type state struct {
	CurrentTerm uint64  `json:"current_term"`
	VotedFor    *uint64 `json:"voted_for"`
	Role        string  `json:"role"`
	Log         []entry `json:"log"`
	CommitIndex uint64  `json:"commit_index"`
}

type message struct {
	From    uint64                 `json:"from"`
	To      uint64                 `json:"to"`
	Kind    string                 `json:"kind"`
	Fields  map[string]interface{} `json:"fields"`
	Payload string                 `json:"payload"`
}

type initialState struct {
	Node        uint64 `json:"node"`
	State       state  `json:"state"`
	Fingerprint string `json:"fingerprint"`
}

type initOk struct {
	Type         string         `json:"type"`
	InReplyTo    uint64         `json:"in_reply_to"`
	Name         string         `json:"name"`
	Unobservable []string       `json:"unobservable"`
	Unsupported  []string       `json:"unsupported"`
	Reports      []string       `json:"reports"`
	States       []initialState `json:"states"`
}

type eventOk struct {
	Type        string    `json:"type"`
	InReplyTo   uint64    `json:"in_reply_to"`
	Messages    []message `json:"messages"`
	Applied     []applied `json:"applied"`
	State       state     `json:"state"`
	Fingerprint string    `json:"fingerprint"`
}

type crashOk struct {
	Type      string `json:"type"`
	InReplyTo uint64 `json:"in_reply_to"`
}

type errorReply struct {
	Type      string `json:"type"`
	InReplyTo uint64 `json:"in_reply_to"`
	Code      int    `json:"code"`
	Text      string `json:"text"`
}

// unsupported is what the adapter does not know; failure is what etcd did not survive.
type unsupported struct{ text string }

func (u unsupported) Error() string { return u.text }

type failure struct{ text string }

func (f failure) Error() string { return f.text }

// encodeMessage calls by the paper's names what means the same there.
func encodeMessage(m raftpb.Message) (message, error) {
	bytes, err := m.Marshal()
	kind, fields := describe(m)
	return message{m.From, m.To, kind, fields, hex.EncodeToString(bytes)}, err
}

func describe(m raftpb.Message) (string, map[string]interface{}) {
	type fields = map[string]interface{}
	switch m.Type {
	case raftpb.MsgVote:
		return "RequestVote", fields{
			"term": m.Term, "last_log_index": m.Index, "last_log_term": m.LogTerm,
		}
	case raftpb.MsgVoteResp:
		return "RequestVoteReply", fields{"term": m.Term, "vote_granted": !m.Reject}
	case raftpb.MsgApp:
		return "AppendEntries", fields{
			"term": m.Term, "prev_log_index": m.Index, "prev_log_term": m.LogTerm,
			"entries": encodeEntries(m.Entries), "leader_commit": m.Commit,
		}
	case raftpb.MsgAppResp:
		match := m.Index
		if m.Reject {
			match = 0
		}
		return "AppendEntriesReply", fields{
			"term": m.Term, "success": !m.Reject, "match_index": match,
		}
	case raftpb.MsgHeartbeat:
		// It compares nothing: everyone has the same before the first entry.
		return "AppendEntries", fields{
			"term": m.Term, "prev_log_index": 0, "prev_log_term": 0,
			"entries": []entry{}, "leader_commit": m.Commit,
		}
	case raftpb.MsgHeartbeatResp:
		return "AppendEntriesReply", fields{"term": m.Term, "success": true, "match_index": 0}
	}
	return m.Type.String(), fields{
		"term": m.Term, "index": m.Index, "log_term": m.LogTerm, "commit": m.Commit,
		"reject": m.Reject, "reject_hint": m.RejectHint,
	}
}

func encodeEntries(entries []raftpb.Entry) []entry {
	encoded := []entry{}
	for _, e := range entries {
		encoded = append(encoded, entry{e.Term, string(e.Data)})
	}
	return encoded
}
