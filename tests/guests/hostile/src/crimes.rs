//! What this plugin can be told to do. The tests that run it match on this list, so a crime
//! without an expectation does not compile.

macro_rules! crimes {
    ($($(#[doc = $about:literal])* $name:ident,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Crime {
            $($(#[doc = $about])* $name,)*
        }

        impl Crime {
            pub const ALL: &[Crime] = &[$(Crime::$name,)*];
        }
    };
}

crimes! {
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
    /// Awards as many points as a number can say.
    AbsurdAward,
    /// Takes five points away.
    NegativeAward,
    /// Takes away as many points as a number can say.
    AbsurdTaking,
    /// Wants to remember 4,097 bytes.
    LargeState,
    /// Says no, as a rule may.
    Reject,
    /// Says that it has a mistake.
    Fault,
    /// Refuses its configuration.
    RejectInConfigure,
    /// Grows its memory, looks for a secret that an earlier call left anywhere in it, and leaves one.
    Secret,
    /// The same in the memory that it began with.
    Whisper,
    /// Logs without end, far beyond what is kept.
    Chatter,
    /// Logs what would clear an operator's screen.
    Smear,
    /// Logs one line that is larger than any answer.
    Shout,
    /// Remembers whom it was asked about before, and gives a hundred points more to whoever comes after
    /// somebody else.
    Remember,
    /// Keeps a megabyte of each call, if its instance is kept.
    Leak,
    /// Never ends from its third call on, if its instance is kept.
    Tire,
    /// Logs whom it is asked about.
    Gossip,
}
