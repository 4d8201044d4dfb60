// A small Raft in JavaScript, for the runner beside it: one server as a pure function.
// States, events and outputs are those of spec/vectors.md; the names are those of Figure 2.

export function step(config, pre, event) {
  const server = new Server(config, structuredClone(pre));
  server.handle(event);
  return { post: server.state, outputs: server.outputs };
}

class Server {
  constructor(config, state) {
    this.config = config;
    this.state = state;
    this.outputs = [];
    this.peers = config.servers.filter((server) => server !== config.id);
  }

  // --- what the state says ---------------------------------------------------------------------

  get disk() {
    return this.state.persistent;
  }

  get term() {
    return this.disk.current_term;
  }

  get role() {
    return this.state.role.type;
  }

  get lastIndex() {
    return this.disk.log.entries.length;
  }

  termAt(index) {
    return index === 0 ? 0 : this.disk.log.entries[index - 1]?.term;
  }

  isMajority(count) {
    return 2 * count > this.config.servers.length;
  }

  // --- what leaves it --------------------------------------------------------------------------

  put(type, fields = {}) {
    this.outputs.push({ type, ...fields });
  }

  send(type, destination, fields) {
    const way = { source: this.config.id, destination, term: this.term };
    this.put("Send", { message: { type, ...way, ...fields } });
  }

  // --- events ----------------------------------------------------------------------------------

  handle(event) {
    switch (event.type) {
      case "ElectionTimeout": return this.startElection();
      case "HeartbeatTimeout": return this.sendToAll();
      case "ClientRequest": return this.append(event.command);
      case "Receive": return this.receive(event.message);
      case "Restart": return this.restart();
    }
  }

  restart() {
    this.state = { persistent: this.disk, role: follower(null), commit_index: 0, last_applied: 0 };
  }

  receive(message) {
    if (message.term > this.term) this.adopt(message.term);
    switch (message.type) {
      case "RequestVote": return this.vote(message);
      case "RequestVoteReply": return this.countVote(message);
      case "AppendEntries": return this.follow(message);
      case "AppendEntriesReply": return this.learn(message);
    }
  }

  adopt(term) {
    if (this.role === "Leader") this.put("ResetElectionTimer");
    this.disk.current_term = term;
    this.disk.voted_for = null;
    this.state.role = follower(null);
  }

  // --- elections (§5.2, §5.4.1) ----------------------------------------------------------------

  startElection() {
    if (this.role === "Leader") return;
    this.disk.current_term += 1;
    this.disk.voted_for = this.config.id;
    this.put("ResetElectionTimer");
    const last = { last_log_index: this.lastIndex, last_log_term: this.termAt(this.lastIndex) };
    for (const peer of this.peers) this.send("RequestVote", peer, last);
    this.count([this.config.id]);
  }

  vote(request) {
    const isFree = [null, request.source].includes(this.disk.voted_for);
    const granted = request.term === this.term && isFree && this.isUpToDate(request);
    if (granted) {
      this.disk.voted_for = request.source;
      this.put("ResetElectionTimer");
    }
    this.send("RequestVoteReply", request.source, { vote_granted: granted });
  }

  isUpToDate({ last_log_index: index, last_log_term: term }) {
    const lastTerm = this.termAt(this.lastIndex);
    return term > lastTerm || (term === lastTerm && index >= this.lastIndex);
  }

  countVote(reply) {
    if (this.role !== "Candidate" || reply.term !== this.term || !reply.vote_granted) return;
    this.count([...new Set([...this.state.role.votes_granted, reply.source])].sort((a, b) => a - b));
  }

  count(votes) {
    this.state.role = { type: "Candidate", votes_granted: votes };
    if (!this.isMajority(votes.length)) return;
    const each = (index) => Object.fromEntries(this.peers.map((peer) => [peer, index]));
    const indexes = { next_index: each(this.lastIndex + 1), match_index: each(0) };
    this.state.role = { type: "Leader", ...indexes };
    this.sendToAll();
  }

  // --- replication: the leader (§5.3) ----------------------------------------------------------

  append(command) {
    if (this.role !== "Leader") {
      return this.put("NotLeader", { leader: this.state.role.leader ?? null });
    }
    this.disk.log.entries.push({ term: this.term, command });
    this.put("Appended", { index: this.lastIndex, term: this.term });
    this.commitCounted();
    this.sendToAll();
  }

  sendToAll() {
    if (this.role === "Leader") this.peers.forEach((peer) => this.sendEntries(peer));
  }

  sendEntries(peer) {
    const prev = this.state.role.next_index[peer] - 1;
    const entries = this.disk.log.entries.slice(prev, prev + this.config.max_entries_per_append);
    this.send("AppendEntries", peer, {
      prev_log_index: prev,
      prev_log_term: this.termAt(prev),
      entries,
      leader_commit: this.state.commit_index,
    });
  }

  learn({ source, term, success, match_index: match }) {
    if (this.role !== "Leader" || term !== this.term || match > this.lastIndex) return;
    const { next_index: next, match_index: known } = this.state.role;
    if (!success) {
      if (next[source] - 1 <= known[source]) return;
      next[source] -= 1;
      return this.sendEntries(source);
    }
    const isNews = match > known[source];
    known[source] = Math.max(known[source], match);
    next[source] = Math.max(next[source], known[source] + 1);
    this.commitCounted();
    if (isNews && next[source] <= this.lastIndex) this.sendEntries(source);
  }

  commitCounted() {
    for (let index = this.lastIndex; index > this.state.commit_index; index -= 1) {
      const holders = this.peers.filter((peer) => this.state.role.match_index[peer] >= index);
      if (this.termAt(index) === this.term && this.isMajority(holders.length + 1)) {
        return this.commit(index);
      }
    }
  }

  // --- replication: everyone else (§5.3) -------------------------------------------------------

  follow(request) {
    const { source, prev_log_index: prev, prev_log_term: prevTerm, entries } = request;
    const reply = (success, match) =>
      this.send("AppendEntriesReply", source, { success, match_index: match });
    if (request.term < this.term) return reply(false, 0);
    if (this.role === "Leader") return;
    this.state.role = follower(source);
    this.put("ResetElectionTimer");
    if (this.termAt(prev) !== prevTerm) return reply(false, 0);
    this.merge(prev, entries);
    const confirmed = prev + entries.length;
    this.commit(Math.max(this.state.commit_index, Math.min(request.leader_commit, confirmed)));
    reply(true, confirmed);
  }

  merge(prev, entries) {
    const conflict = entries.findIndex(({ term }, place) => this.termAt(prev + place + 1) !== term);
    if (conflict < 0) return;
    this.disk.log.entries.splice(prev + conflict, Infinity, ...entries.slice(conflict));
  }

  commit(index) {
    this.state.commit_index = index;
    while (this.state.last_applied < index) {
      const applied = (this.state.last_applied += 1);
      this.put("Apply", { index: applied, entry: this.disk.log.entries[applied - 1] });
    }
  }
}

function follower(leader) {
  return { type: "Follower", leader };
}
