"""From what single steps do to what components do, in compiled code.

The unit of the search is a node's *component*: its local state together with what it has in flight,
its *box*. There are few distinct local states, messages and boxes, and what they do to each other
is asked of the system itself (`BaseTables`, filled by `model_check.engine.tables`). But there are
many components, and very many pairs of a component with what another has sent it. What these lead
to follows from the base by looking up, and is derived here.
"""

from __future__ import annotations

import numpy as np

from model_check.engine.compiled import (
    EMPTY_KEY,
    UNKNOWN,
    ZERO,
    Int64s,
    compiled,
    find,
    inlined,
    mix,
    pair_key,
    put,
    wide,
)
from model_check.engine.kernels import find_received
from model_check.engine.layout import (
    COMPONENTS,
    EAGER,
    ENTRIES,
    FORGOTTEN,
    LEADS,
    LEFT,
    LIMITED,
    MISSING_CUT,
    MISSING_FORGOTTEN,
    MISSING_IMAGES,
    MISSING_INTERNAL,
    MISSING_LEFT,
    MISSING_RECEIVED,
    NEED_BOX,
    NEED_BOX_IMAGES,
    NEED_EFFECT,
    NEED_FORGOTTEN,
    NEED_LOCAL_IMAGES,
    NEED_OWN,
    NEED_RESTARTED,
    NEED_SENT,
    NO_VIOLATION,
    RECEIVED,
    RESTART,
    BaseTables,
    DerivedTables,
)


@inlined
def way_of(sender: int, restarted: int) -> int:
    """A box's node and one that restarts, as one number."""
    return (sender << 8) | restarted


@inlined
def component_of(base: BaseTables, derived: DerivedTables, local: int, box: int) -> int:
    """The number of a component, perhaps a new one; `UNKNOWN` if its box is not known enough."""
    key = pair_key(local, box)
    keys, values = derived.component_keys, derived.component_values
    mask = np.uint64(keys.shape[0] - 1)
    slot = mix(key) & mask
    while keys[slot] != EMPTY_KEY:
        if keys[slot] == key:
            return wide(values[slot])
        slot = (slot + np.uint64(1)) & mask
    if base.box_inboxes[box, 0] == UNKNOWN:
        return UNKNOWN
    component = derived.counts[COMPONENTS]
    derived.counts[COMPONENTS] = component + 1
    keys[slot], values[slot] = key, component
    derived.local[component], derived.box[component] = local, box
    derived.views[component] = base.local_view[local]
    for receiver in range(derived.inbox.shape[1]):
        derived.inbox[component, receiver] = base.box_inboxes[box, receiver]
    return wide(component)


@inlined
def note(needs: Int64s, noted: int, kind: int, high: int, low: int) -> int:
    """Take note of what the base lacks; returns how many notes there are."""
    needs[noted, 0], needs[noted, 1], needs[noted, 2] = kind, high, low
    return noted + 1


@inlined
def land(
    base: BaseTables, derived: DerivedTables, effect: int, box: int, needs: Int64s, noted: int
) -> tuple[int, int]:
    """The component that an effect leads to, its box having been ``box``; and how many notes."""
    after, sent = wide(base.effects[effect, 0]), wide(base.effects[effect, 1])
    if sent != 0:
        sent_box = find(base.sent_keys, base.sent_values, box, sent)
        if sent_box == UNKNOWN:
            return UNKNOWN, note(needs, noted, NEED_SENT, box, sent)
        box = sent_box
    target = component_of(base, derived, after, box)
    if target == UNKNOWN:
        return UNKNOWN, note(needs, noted, NEED_BOX, box, ZERO)
    return target, noted


@inlined
def add_limited(
    base: BaseTables, derived: DerivedTables, effect: int, target: int, place: int
) -> None:
    """Add an entry that may be followed so and so often only: always one of its own."""
    end = derived.counts[ENTRIES]
    entry = derived.entries[end]
    entry[0], entry[1], entry[2] = target, base.effects[effect, 2], base.effects[effect, 3]
    entry[3] = place | LIMITED
    derived.entry_reached[end] = base.effects[effect, 5]
    derived.counts[ENTRIES] = end + 1


@inlined
def add_entry(
    derived: DerivedTables, first: int, target: int, fact: int, rank: int, place: int
) -> None:
    """Add an entry to the list that begins at ``first``, unless it is there."""
    end = derived.counts[ENTRIES]
    entries = derived.entries
    for known in range(first, end):
        if (
            entries[known, 0] == target
            and entries[known, 1] == fact
            and entries[known, 2] == rank
            and entries[known, 3] == place
        ):
            return
    entries[end, 0], entries[end, 1], entries[end, 2], entries[end, 3] = target, fact, rank, place
    derived.counts[ENTRIES] = end + 1


@inlined
def end_list(
    derived: DerivedTables, lists: Int64s, column: int, first: int, transitions: int, reached: int
) -> None:
    """Write down, in ``lists`` from ``column`` on, the list whose entries begin at ``first``."""
    lists[column] = first
    lists[column + 1] = ((derived.counts[ENTRIES] - first) << 32) | transitions
    lists[column + 2] = reached


@inlined
def derive_step(
    base: BaseTables,
    derived: DerivedTables,
    component: int,
    effect: int,
    box: int,
    place: int,
    is_kept: bool,
    first: int,
    needs: Int64s,
    noted: int,
) -> tuple[int, int]:
    """Add a step of a component to the list that begins at ``first``.

    ``box`` is what the step leaves of what the node had in flight, but for a restart. Unless it
    ``is_kept``, a step that changes nothing is not added. Returns how many notes there are, and a
    bit for each milestone that the list must count.
    """
    # As in `System._combine`: the message is taken out, then the restart breaks the connections,
    # then the node sends.
    cuts = base.effects[effect, 4] != 0
    if cuts:
        node = wide(base.local_node[derived.local[component]])
        kept = find(base.restarted_keys, base.restarted_values, box, way_of(node, node))
        if kept == UNKNOWN:
            return note(needs, noted, NEED_RESTARTED, box, way_of(node, node)), ZERO
        box = kept
        place |= RESTART
    target, noted = land(base, derived, effect, box, needs, noted)
    if base.effects[effect, 6] != 0:
        add_limited(base, derived, effect, target, place)
        return noted, ZERO
    fact, rank = wide(base.effects[effect, 2]), wide(base.effects[effect, 3])
    if is_kept or cuts or target != component or fact != 0 or rank != NO_VIOLATION:
        if base.effects[effect, 7] != 0:
            place |= EAGER
        add_entry(derived, first, target, fact, rank, place)
    return noted, wide(base.effects[effect, 5])


@inlined
def derive_received(
    base: BaseTables,
    derived: DerivedTables,
    component: int,
    inbox: int,
    keeps_delivered: bool,
    needs: Int64s,
    noted: int,
) -> int:
    """List what the deliveries of another node's inbox do to a component. Returns how many notes
    there are."""
    local, box = wide(derived.local[component]), wide(derived.box[component])
    first, noted_before, reached = wide(derived.counts[ENTRIES]), noted, ZERO
    start, length = base.inboxes[inbox, 0], base.inboxes[inbox, 1]
    transitions = ZERO
    for at in range(length):
        message = wide(base.inbox_messages[start + at])
        choice = find(base.effect_keys, base.effect_values, local, message)
        if choice == UNKNOWN:
            noted = note(needs, noted, NEED_EFFECT, local, message)
            continue
        transitions += base.choices[choice, 1]
        # The position says what is left of the sender's component, which changes unless messages
        # stay in flight. Where they do, deliveries with the same effect share one entry.
        place = ZERO if keeps_delivered else wide(at)
        chosen = base.choices[choice, 0]
        for each in range(chosen, chosen + base.choices[choice, 1]):
            effect = wide(base.choice_effects[each])
            noted, bits = derive_step(
                base,
                derived,
                component,
                effect,
                box,
                place,
                not keeps_delivered,
                first,
                needs,
                noted,
            )
            reached |= bits
    if noted > noted_before:
        derived.counts[ENTRIES] = first
        return noted
    slot = find_received(derived.received, component, inbox)
    derived.received[slot, 0] = wide(pair_key(component, inbox))
    end_list(derived, derived.received[slot], 1, first, transitions, reached)
    derived.counts[RECEIVED] += 1
    return noted


@inlined
def derive_to_self(
    base: BaseTables,
    derived: DerivedTables,
    component: int,
    first: int,
    needs: Int64s,
    noted: int,
) -> tuple[int, int, int]:
    """Add what a node's messages to itself do to a component to the list that begins at ``first``.

    Receiver and sender are one component, so such a delivery is something that happens to it by
    itself: `internal`, never `received`. Returns how many notes there are, how many transitions
    these are, and a bit for each milestone reached.
    """
    local, box = wide(derived.local[component]), wide(derived.box[component])
    node = wide(base.local_node[local])
    inbox, left = base.box_inboxes[box, node], base.box_left[box, node]
    start, length = base.inboxes[inbox, 0], base.inboxes[inbox, 1]
    transitions, reached = ZERO, ZERO
    for at in range(length):
        message = wide(base.inbox_messages[start + at])
        choice = find(base.effect_keys, base.effect_values, local, message)
        if choice == UNKNOWN:
            noted = note(needs, noted, NEED_EFFECT, local, message)
            continue
        transitions += base.choices[choice, 1]
        remaining = wide(base.left_boxes[left + at])
        chosen = base.choices[choice, 0]
        for each in range(chosen, chosen + base.choices[choice, 1]):
            effect = wide(base.choice_effects[each])
            noted, bits = derive_step(
                base,
                derived,
                component,
                effect,
                remaining,
                ZERO,
                False,
                first,
                needs,
                noted,
            )
            reached |= bits
    return noted, transitions, reached


@inlined
def derive_internal(
    base: BaseTables,
    derived: DerivedTables,
    component: int,
    needs: Int64s,
    noted: int,
) -> int:
    """List what may happen to a component by itself: events at the node, messages that it sent to
    itself, and losses."""
    local, box = wide(derived.local[component]), wide(derived.box[component])
    first, noted_before = wide(derived.counts[ENTRIES]), noted
    if base.own[local, 0] == UNKNOWN:
        return note(needs, noted, NEED_OWN, local, ZERO)
    noted, transitions, reached = derive_to_self(base, derived, component, first, needs, noted)
    for at in range(base.own[local, 0], base.own[local, 0] + base.own[local, 1]):
        effect = wide(base.own_effects[at])
        noted, bits = derive_step(
            base,
            derived,
            component,
            effect,
            box,
            ZERO,
            False,
            first,
            needs,
            noted,
        )
        reached |= bits
    losses = base.box_losses[box, 1]
    for at in range(base.box_losses[box, 0], base.box_losses[box, 0] + losses):
        target = component_of(base, derived, local, wide(base.loss_boxes[at]))
        if target == UNKNOWN:
            noted = note(needs, noted, NEED_BOX, wide(base.loss_boxes[at]), ZERO)
            continue
        add_entry(derived, first, target, ZERO, NO_VIOLATION, ZERO)
    if noted > noted_before:
        derived.counts[ENTRIES] = first
        return noted
    transitions += wide(base.own[local, 1]) + losses
    end_list(derived, derived.internal[component], 0, first, transitions, reached)
    return noted


@inlined
def derive_left(
    base: BaseTables,
    derived: DerivedTables,
    component: int,
    receiver: int,
    needs: Int64s,
    noted: int,
) -> int:
    """What each delivery to a receiver leaves of the sender's component."""
    local, box = wide(derived.local[component]), wide(derived.box[component])
    first, noted_before = wide(derived.counts[LEFT]), noted
    start, length = base.box_left[box, receiver], base.inboxes[base.box_inboxes[box, receiver], 1]
    for place in range(length):
        left = wide(base.left_boxes[start + place])
        target = component_of(base, derived, local, left)
        if target == UNKNOWN:
            noted = note(needs, noted, NEED_BOX, left, ZERO)
        derived.left_targets[first + place] = target
    if noted == noted_before:
        derived.counts[LEFT] = first + length
        derived.left[component, receiver] = first
    return noted


@inlined
def derive_cut(
    base: BaseTables,
    derived: DerivedTables,
    component: int,
    restarted: int,
    needs: Int64s,
    noted: int,
) -> int:
    """What a component becomes when another node restarts."""
    local, box = wide(derived.local[component]), wide(derived.box[component])
    way = way_of(wide(base.local_node[local]), restarted)
    kept = find(base.restarted_keys, base.restarted_values, box, way)
    if kept == UNKNOWN:
        return note(needs, noted, NEED_RESTARTED, box, way)
    target = component_of(base, derived, local, kept)
    if target == UNKNOWN:
        return note(needs, noted, NEED_BOX, kept, ZERO)
    derived.cut[component, restarted] = target
    return noted


@inlined
def derive_forgotten(
    base: BaseTables, derived: DerivedTables, component: int, other: int, needs: Int64s, noted: int
) -> int:
    """A component without what is outdated to another node in the local state ``other``."""
    local, box = wide(derived.local[component]), wide(derived.box[component])
    kept = find(base.forgotten_keys, base.forgotten_values, box, other)
    if kept == UNKNOWN:
        return note(needs, noted, NEED_FORGOTTEN, box, other)
    target = component_of(base, derived, local, kept)
    if target == UNKNOWN:
        return note(needs, noted, NEED_BOX, kept, ZERO)
    put(derived.forgotten_keys, derived.forgotten_values, pair_key(component, other), target)
    derived.counts[FORGOTTEN] += 1
    return noted


@inlined
def derive_images(
    base: BaseTables, derived: DerivedTables, component: int, needs: Int64s, noted: int
) -> int:
    """A component under all other names; its least image as node 1, and how that comes about."""
    local, box = wide(derived.local[component]), wide(derived.box[component])
    noted_before = noted
    if base.local_images[local, 0] == UNKNOWN:
        noted = note(needs, noted, NEED_LOCAL_IMAGES, local, ZERO)
    if base.box_images[box, 0] == UNKNOWN:
        noted = note(needs, noted, NEED_BOX_IMAGES, box, ZERO)
    if noted > noted_before:
        return noted
    renamings = derived.images.shape[1]
    for renaming in range(renamings):
        image_box = wide(base.box_images[box, renaming])
        image = component_of(base, derived, wide(base.local_images[local, renaming]), image_box)
        if image == UNKNOWN:
            noted = note(needs, noted, NEED_BOX, image_box, ZERO)
        derived.images[component, renaming] = image
    if noted > noted_before:
        return noted
    node, least = base.local_node[local], 0x7FFFFFFF
    for renaming in range(renamings):
        if base.origins[renaming, 0] == node:
            least = min(least, wide(derived.images[component, renaming]))
    first = end = derived.counts[LEADS]
    for renaming in range(renamings):
        if base.origins[renaming, 0] == node and derived.images[component, renaming] == least:
            derived.lead_renamings[end] = renaming
            end += 1
    derived.counts[LEADS] = end
    derived.leads[component, 0] = least
    derived.leads[component, 1], derived.leads[component, 2] = first, end - first
    return noted


@compiled
def derive(
    base: BaseTables,
    derived: DerivedTables,
    missing: Int64s,
    start: int,
    slack: int,
    keeps_delivered: bool,
    needs: Int64s,
    unmet: Int64s,
) -> tuple[int, int, int]:
    """Derive what ``missing`` asks for, from ``start`` on, while there is room for ``slack`` rows.

    Returns how far it came, how many notes say what the base lacks, and how many requests, copied
    to ``unmet``, have to be made again for that.
    """
    noted, put_off = ZERO, ZERO
    for at in range(start, missing.shape[0]):
        counts = derived.counts
        full = (
            counts[COMPONENTS] + slack > derived.local.shape[0]
            or counts[ENTRIES] + slack > derived.entries.shape[0]
            or counts[LEFT] + slack > derived.left_targets.shape[0]
            or counts[LEADS] + slack > derived.lead_renamings.shape[0]
            or 2 * (counts[RECEIVED] + slack) > derived.received.shape[0]
            or 2 * (counts[COMPONENTS] + slack) > derived.component_keys.shape[0]
            or 2 * (counts[FORGOTTEN] + slack) > derived.forgotten_keys.shape[0]
        )
        if full or noted + 2 * slack > needs.shape[0]:
            return at, noted, put_off
        kind, high, low = wide(missing[at, 0]), wide(missing[at, 1]), wide(missing[at, 2])
        before = noted
        if kind == MISSING_RECEIVED:
            noted = derive_received(base, derived, high, low, keeps_delivered, needs, noted)
        elif kind == MISSING_INTERNAL:
            noted = derive_internal(base, derived, high, needs, noted)
        elif kind == MISSING_LEFT:
            noted = derive_left(base, derived, high, low, needs, noted)
        elif kind == MISSING_CUT:
            noted = derive_cut(base, derived, high, low, needs, noted)
        elif kind == MISSING_FORGOTTEN:
            noted = derive_forgotten(base, derived, high, low, needs, noted)
        elif kind == MISSING_IMAGES:
            noted = derive_images(base, derived, high, needs, noted)
        if noted > before:
            unmet[put_off, 0], unmet[put_off, 1], unmet[put_off, 2] = kind, high, low
            put_off += 1
    return missing.shape[0], noted, put_off
