// Which threads go first where there are fewer cores than work. Linux; refusals of the system are
// passed over, since all of it is correct without, only slower to answer.
#pragma once

namespace samtale {

// The calling thread, and those it makes, answer somebody who waits: they run in slices of a tenth
// of a millisecond, so that they come before whoever may use longer ones (Linux 6.12, EEVDF).
void become_prompt_thread();

// The calling thread, and those it makes, work on what nobody waits for at this moment: nice 10,
// longer slices, and they interrupt nobody when they wake (SCHED_BATCH). They still get their tenth
// of a core beside any number of others, as they would not under SCHED_IDLE.
void become_background_thread();

// The calling thread, and those it makes, tidy up for minutes what works as it is: nice 19, an
// eighth of what a background thread gets beside it.
void become_maintenance_thread();

}  // namespace samtale
