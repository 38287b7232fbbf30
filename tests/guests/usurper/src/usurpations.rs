//! What this plugin can be told to try. The tests that run it match on this list, so one without an
//! expectation does not compile.

macro_rules! usurpations {
    ($($(#[doc = $about:literal])* $name:ident,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Usurpation {
            $($(#[doc = $about])* $name,)*
        }

        impl Usurpation {
            pub const ALL: &[Usurpation] = &[$(Usurpation::$name,)*];
        }
    };
}

usurpations! {
    /// Nothing: its own segment, its own tier, a modest prompt.
    None,
    /// Puts the customer into a segment that nobody has heard of.
    UnknownSegment,
    /// Puts the customer into the segment of another plugin.
    SegmentOfAnother,
    /// Sets a tag that its manifest does not register.
    ForeignTag,
    /// A membership that ends before it begins.
    EndsBeforeItBegins,
    /// A membership that ends in ten thousand years.
    EndsInTenThousandYears,
    /// Places the customer in a tier that the shop does not have.
    UnknownTier,
    /// Places the customer in a tier of the shop that is not its own.
    TierOfAnother,
    /// Keeps a tier until yesterday.
    TierUntilYesterday,
    /// Offers more than the shop's cap.
    DiscountOverTheCap,
    /// Offers more than all of it.
    DiscountOverAll,
    /// Offers less than nothing.
    NegativeDiscount,
    /// Offers something on a line that the basket does not have.
    DiscountOnNoLine,
    /// Wants to be asked again every second, for ever.
    ReviewStorm,
    /// Wants to be asked again yesterday.
    ReviewYesterday,
    /// Sends a message before the event happened.
    MessageFromThePast,
    /// A prompt that no till can show.
    EndlessPrompt,
    /// A receipt line that no printer can print.
    EndlessReceipt,
    /// Names the customer's e-mail address in a text, which it was not granted.
    Indiscreet,
    /// Three hundred messages for one sale.
    Flood,
}
