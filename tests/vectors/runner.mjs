// Holds an implementation of Raft against a vector suite: `node runner.mjs DIR [IMPLEMENTATION [TYPE...]]`.
// The implementation is a module with `step(config, pre, event)`, which returns `{ post, outputs }`;
// outputs of the types named it need not have, such as ResetElectionTimer. See spec/vectors.md.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";

const [directory, path, ...ignored] = process.argv.slice(2);
const implementation = path ? pathToFileURL(path) : new URL("raft.mjs", import.meta.url);
const { step } = await import(implementation);
const read = (name) => JSON.parse(readFileSync(`${directory}/${name}`, "utf8"));
const heard = (outputs) => outputs.filter(({ type }) => !ignored.includes(type));
const isAnswer = (answer, { post, outputs }) =>
  isDeepStrictEqual([answer.post, heard(answer.outputs)], [post, heard(outputs)]);
// A config with other fields turns an extension on, which this implementation does not have.
const known = ["id", "servers", "max_entries_per_append"];
const isKnown = (config) => Object.keys(config).every((field) => known.includes(field));
let failures = 0;

function fail(id, what, flags, rules) {
  failures += 1;
  console.log(`${id}: ${what}\n  flags ${flags.join(", ")}\n  rules ${rules.join(", ")}`);
}

const files = [read("step.json"), read("trace.json")];
for (const { schema_version: version } of files)
  if (version !== 1) throw new Error(`version ${version} of the format is not known here`);
const steps = files[0].cases.filter(({ config }) => isKnown(config));
const traces = files[1].cases.filter(({ configs }) => configs.every(isKnown));
const all = files[0].cases.length + files[1].cases.length;

for (const { id, config, pre, event, flags, rules, forbidden, ...expected } of steps) {
  const answer = step(config, pre, event);
  const wrong = forbidden.find((each) => isAnswer(answer, each));
  if (wrong) fail(id, "forbidden", wrong.flags, wrong.breaks);
  else if (!isAnswer(answer, expected)) fail(id, "different", flags, rules);
}

for (const { id, configs, initial, actions, flags, rules } of traces) {
  const states = [...initial], sent = [];
  const bad = actions.findIndex(({ node, event, sent_in: from, ...expected }, number) => {
    // what this cluster sent itself: at most one message a step goes to the same server
    const message = from && sent[from.action].find((each) => each.message?.destination === node).message;
    const answer = step(configs[node - 1], states[node - 1], from ? { ...event, message } : event);
    [states[node - 1], sent[number]] = [answer.post, answer.outputs];
    return !isAnswer(answer, expected);
  });
  if (bad >= 0) fail(id, `different at action ${bad}`, flags, rules);
}

const others = all - steps.length - traces.length; // of extensions
console.log(`${steps.length} steps, ${traces.length} traces, ${others} left out: ${failures} failures`);
process.exitCode = failures ? 1 : 0;
