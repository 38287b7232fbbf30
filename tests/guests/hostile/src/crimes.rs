//! What this plugin can be told to do. The tests that run it match on this list, so a crime
//! without an expectation does not compile.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crime {
    /// No crime: one point, always.
    None,
    /// Never ends.
    Loop,
    /// Never ends, and already while it is configured.
    LoopInConfigure,
    /// Works slowly with little fuel.
    Dawdle,
    /// Takes memory in small pieces for ever.
    Hoard,
    /// Takes more memory than there is in one piece.
    Grab,
    /// Takes it while it is configured.
    GrabInConfigure,
    /// Calls itself for ever.
    Recurse,
    /// Executes `unreachable`.
    Trap,
    /// Makes a whole number of what is none.
    Convert,
    /// Reads beyond its memory.
    Stray,
    /// Panics with a message.
    Panic,
    /// Answers with ten thousand awards.
    ManyAwards,
    /// Answers with a reason of a megabyte.
    LongReason,
    /// Answers with a reason one byte too long.
    LongSentence,
    /// Answers with a thousand texts that all lie on the same megabyte.
    Amplify,
    /// Answers with text that is not UTF-8.
    NotText,
    /// Awards 2^53 points.
    RoundedNumber,
    /// Wants to remember 4,097 bytes.
    LargeState,
    /// Says no, as a rule may.
    Reject,
    /// Says that it has a mistake.
    Fault,
    /// Refuses its configuration.
    RejectInConfigure,
    /// Leaves a secret everywhere in its memory, and looks for one that an earlier call left.
    Secret,
    /// Logs without end, far beyond what is kept.
    Chatter,
    /// Logs what would clear an operator's screen.
    Smear,
    /// Logs one line that is larger than any answer.
    Shout,
}

impl Crime {
    pub const ALL: [Crime; 26] = [
        Crime::None,
        Crime::Loop,
        Crime::LoopInConfigure,
        Crime::Dawdle,
        Crime::Hoard,
        Crime::Grab,
        Crime::GrabInConfigure,
        Crime::Recurse,
        Crime::Trap,
        Crime::Convert,
        Crime::Stray,
        Crime::Panic,
        Crime::ManyAwards,
        Crime::LongReason,
        Crime::LongSentence,
        Crime::Amplify,
        Crime::NotText,
        Crime::RoundedNumber,
        Crime::LargeState,
        Crime::Reject,
        Crime::Fault,
        Crime::RejectInConfigure,
        Crime::Secret,
        Crime::Chatter,
        Crime::Smear,
        Crime::Shout,
    ];
}
