//! The allocator of plugins: an arena that is part of the component's first memory, so that an
//! ordinary call never grows it. Growing costs the host two system calls, which is more than the
//! whole call.
//!
//! A block is a power of two. It is cut from the arena; when it is freed it goes to the list of
//! its size and is taken from there again, so an instance that is kept for many calls stays as
//! small as its largest one. What is left of the linear memory's last page comes next, and only
//! then does the memory grow.
//!
//! Nothing here is thread-safe: plugins have one thread.

use std::alloc::Layout;
use std::ptr::{self, NonNull};

/// What a call may at least allocate before the memory grows, in bytes. With the stack of 32 KiB
/// and up to 48 KiB of constants a plugin begins with two pages of 64 KiB, which is what the host
/// keeps resident for each instance; what the constants leave of them is used, too.
const ARENA_BYTES: usize = 48 * 1024;

/// Every block is at least so large and so aligned: a free block holds the link to the next one,
/// and nothing in the contract asks for a larger alignment.
const BLOCK_MIN_BYTES: usize = 16;

/// Sizes from 16 bytes to 2 GiB, one list for each power of two.
const SIZES: usize = 28;

/// Where an arena gets its memory from.
trait Ground {
    /// At least so many bytes that nobody else has, as the first address and the one behind the
    /// last. None if there is no more.
    fn more(&mut self, bytes: usize) -> Option<(usize, usize)>;
}

struct Arena<G> {
    ground: G,
    /// The first address that was never given out, and the end of the piece that it is in.
    next: usize,
    end: usize,
    free: [*mut FreeBlock; SIZES],
}

struct FreeBlock {
    next: *mut FreeBlock,
}

impl<G: Ground> Arena<G> {
    const fn new(ground: G) -> Self {
        Self {
            ground,
            next: 0,
            end: 0,
            free: [ptr::null_mut(); SIZES],
        }
    }

    fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let Some(size) = Size::of(layout) else {
            return ptr::null_mut();
        };
        let list = &mut self.free[size.index()];
        if let Some(block) = NonNull::new(*list)
            && layout.align() <= BLOCK_MIN_BYTES
        {
            // SAFETY: the list holds free blocks of this size, each written by `release`.
            *list = unsafe { block.as_ref() }.next;
            return block.as_ptr().cast();
        }
        self.cut(size.bytes(), layout.align().max(BLOCK_MIN_BYTES))
    }

    /// Takes a block that was never given out.
    fn cut(&mut self, bytes: usize, align: usize) -> *mut u8 {
        if !self.fits(bytes, align) {
            let Some((start, end)) = self.ground.more(bytes.saturating_add(align)) else {
                return ptr::null_mut();
            };
            // Ground that follows directly is one piece with what is left of the last.
            if start != self.end {
                self.next = start;
            }
            self.end = end;
        }
        let block = self.next.next_multiple_of(align);
        self.next = block + bytes;
        ptr::with_exposed_provenance_mut(block)
    }

    fn fits(&self, bytes: usize, align: usize) -> bool {
        let block = self.next.checked_next_multiple_of(align);
        block
            .and_then(|block| block.checked_add(bytes))
            .is_some_and(|behind| behind <= self.end)
    }

    /// # Safety
    /// `block` came from `allocate` with this layout and nobody uses it any more.
    unsafe fn release(&mut self, block: *mut u8, layout: Layout) {
        let Some(size) = Size::of(layout) else {
            return;
        };
        let block = block.cast::<FreeBlock>();
        let list = &mut self.free[size.index()];
        // SAFETY: the block is ours, large enough for a link and aligned for it.
        unsafe { block.write(FreeBlock { next: *list }) };
        *list = block;
    }

    /// # Safety
    /// As for `release`.
    unsafe fn resize(&mut self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(bytes, layout.align()) else {
            return ptr::null_mut();
        };
        if Size::of(wanted) == Size::of(layout) {
            return block;
        }
        let moved = self.allocate(wanted);
        if !moved.is_null() {
            // SAFETY: both blocks are ours, do not overlap and hold the smaller of the sizes.
            unsafe {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(bytes));
                self.release(block, layout);
            }
        }
        moved
    }
}

/// The size of a block, as the power of two that it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Size(u32);

impl Size {
    /// None for what no memory could hold.
    fn of(layout: Layout) -> Option<Self> {
        let bytes = layout.size().max(BLOCK_MIN_BYTES);
        let power = bytes.checked_next_power_of_two()?.trailing_zeros();
        let first = BLOCK_MIN_BYTES.trailing_zeros();
        let size = Self(power - first);
        (size.index() < SIZES).then_some(size)
    }

    fn index(self) -> usize {
        self.0 as usize
    }

    fn bytes(self) -> usize {
        BLOCK_MIN_BYTES << self.0
    }
}

#[cfg(target_arch = "wasm32")]
mod plugin {
    //! The arena of a component, as its global allocator.

    use std::alloc::GlobalAlloc;
    use std::arch::wasm32::{memory_grow, memory_size};
    use std::cell::UnsafeCell;

    use super::*;

    const PAGE_BYTES: usize = 64 * 1024;

    /// First the arena, then what the linker left of the last page, then new pages.
    enum Linear {
        Untouched,
        Arena,
        Growing,
    }

    #[repr(align(16))]
    struct Reserved(UnsafeCell<[u8; ARENA_BYTES]>);

    // SAFETY: a component has one thread.
    unsafe impl Sync for Reserved {}

    static RESERVED: Reserved = Reserved(UnsafeCell::new([0; ARENA_BYTES]));

    unsafe extern "C" {
        /// Set by the linker: nothing of the program is at this address or behind it.
        static __heap_base: u8;
    }

    impl Ground for Linear {
        fn more(&mut self, bytes: usize) -> Option<(usize, usize)> {
            if let Linear::Untouched = self {
                *self = Linear::Arena;
                if bytes <= ARENA_BYTES {
                    let start = RESERVED.0.get().expose_provenance();
                    return Some((start, start + ARENA_BYTES));
                }
            }
            if let Linear::Arena = self {
                *self = Linear::Growing;
                let start = (&raw const __heap_base).expose_provenance();
                let end = memory_size(0) * PAGE_BYTES;
                if start.checked_add(bytes)? <= end {
                    return Some((start, end));
                }
            }
            let pages = bytes.div_ceil(PAGE_BYTES);
            let before = memory_grow(0, pages);
            if before == usize::MAX {
                return None;
            }
            // The last page of all ends where addresses do.
            let start = before * PAGE_BYTES;
            Some((start, start.checked_add(pages * PAGE_BYTES)?))
        }
    }

    struct Plugin(UnsafeCell<Arena<Linear>>);

    // SAFETY: a component has one thread, and the arena calls nothing that could allocate.
    unsafe impl Sync for Plugin {}

    #[global_allocator]
    static PLUGIN: Plugin = Plugin(UnsafeCell::new(Arena::new(Linear::Untouched)));

    // SAFETY: blocks are disjoint, aligned and at least as large as asked for.
    unsafe impl GlobalAlloc for Plugin {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            unsafe { &mut *self.0.get() }.allocate(layout)
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            unsafe { (&mut *self.0.get()).release(block, layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
            unsafe { (&mut *self.0.get()).resize(block, layout, bytes) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pieces like a component's: the arena, and behind a gap what can grow.
    struct Pieces {
        memory: Box<[u128]>,
        arena_given: bool,
        grown: usize,
        grown_max: usize,
    }

    impl Pieces {
        fn new(grown_max: usize) -> Self {
            let gap = 4096;
            Self {
                memory: vec![0; (ARENA_BYTES + gap + grown_max) / 16].into(),
                arena_given: false,
                grown: 0,
                grown_max,
            }
        }
    }

    impl Ground for Pieces {
        fn more(&mut self, bytes: usize) -> Option<(usize, usize)> {
            let start = self.memory.as_mut_ptr().expose_provenance();
            if !self.arena_given {
                self.arena_given = true;
                if bytes <= ARENA_BYTES {
                    return Some((start, start + ARENA_BYTES));
                }
            }
            let behind = start + self.memory.len() * 16 - self.grown_max;
            let from = self.grown;
            self.grown += bytes.next_multiple_of(1024);
            (self.grown <= self.grown_max).then_some((behind + from, behind + self.grown))
        }
    }

    fn layout(bytes: usize, align: usize) -> Layout {
        Layout::from_size_align(bytes, align).unwrap()
    }

    /// Numbers that look random and are the same in every run (xorshift).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }
    }

    #[test]
    fn blocks_are_aligned_apart_and_keep_what_is_written_into_them() {
        let mut arena = Arena::new(Pieces::new(4 << 20));
        let mut dice = Dice(0x5eed);
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let whole =
            |block: *mut u8, bytes: usize| unsafe { std::slice::from_raw_parts_mut(block, bytes) };
        for round in 0..20_000usize {
            let mark = round as u8;
            match dice.below(3) {
                0 if !held.is_empty() => {
                    let at = dice.below(held.len());
                    let (block, layout, mark) = held.swap_remove(at);
                    assert!(whole(block, layout.size()).iter().all(|byte| *byte == mark));
                    unsafe { arena.release(block, layout) };
                }
                1 if !held.is_empty() => {
                    let at = dice.below(held.len());
                    let (block, old, mark) = held[at];
                    let bytes = 1 + dice.below(2_000);
                    let moved = unsafe { arena.resize(block, old, bytes) };
                    let kept = old.size().min(bytes);
                    assert!(whole(moved, kept).iter().all(|byte| *byte == mark));
                    whole(moved, bytes).fill(mark);
                    held[at] = (moved, layout(bytes, old.align()), mark);
                }
                _ if held.len() < 300 => {
                    let wanted = layout(1 + dice.below(1_000), 1 << dice.below(6));
                    let block = arena.allocate(wanted);
                    assert!(!block.is_null() && block.addr().is_multiple_of(wanted.align()));
                    whole(block, wanted.size()).fill(mark);
                    held.push((block, wanted, mark));
                }
                _ => {}
            }
        }
        for (block, layout, mark) in held {
            assert!(whole(block, layout.size()).iter().all(|byte| *byte == mark));
        }
    }

    #[test]
    fn the_same_call_over_and_over_stays_in_the_arena() {
        let mut arena = Arena::new(Pieces::new(0));
        for _ in 0..1_000 {
            // A basket of 40 lines with five names each, and a vector that grows as it is read.
            let mut held = vec![(arena.allocate(layout(40 * 200, 8)), layout(40 * 200, 8))];
            for _ in 0..200 {
                held.push((arena.allocate(layout(24, 1)), layout(24, 1)));
            }
            let mut growing = (arena.allocate(layout(64, 8)), layout(64, 8));
            while growing.1.size() < 4_096 {
                let bytes = growing.1.size() * 2;
                growing = (
                    unsafe { arena.resize(growing.0, growing.1, bytes) },
                    layout(bytes, 8),
                );
            }
            held.push(growing);
            for (block, layout) in held {
                assert!(!block.is_null());
                unsafe { arena.release(block, layout) };
            }
        }
        assert_eq!(arena.ground.grown, 0);
    }

    #[test]
    fn what_the_arena_cannot_hold_grows_the_memory_and_what_nothing_can_hold_is_refused() {
        let mut arena = Arena::new(Pieces::new(1 << 20));
        let large = arena.allocate(layout(100_000, 8));
        assert!(!large.is_null());
        assert!(arena.ground.grown >= 100_000);
        assert!(arena.allocate(layout(2 << 20, 8)).is_null());
        assert!(arena.allocate(layout(isize::MAX as usize - 8, 8)).is_null());
        assert!(
            !arena.allocate(layout(64, 8)).is_null(),
            "the rest is still there"
        );
    }

    #[test]
    fn ground_that_follows_directly_wastes_nothing() {
        let mut arena = Arena::new(Pieces::new(8 << 10));
        arena.ground.arena_given = true;
        let blocks: Vec<_> = (0..8).map(|_| arena.allocate(layout(1_024, 8))).collect();
        assert!(blocks.iter().all(|block| !block.is_null()));
        assert_eq!(arena.ground.grown, 8 << 10);
    }
}
