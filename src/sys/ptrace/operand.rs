//! The memory that an instruction of x86-64 is about to access, by its encoding and the registers.
//!
//! Only as far as a trace of signal handlers needs it: the operand of the ModRM byte, string operations and absolute
//! addresses. What `push`, `pop`, `call` and `ret` do to the stack is left out. Volume 2 of Intel's manual (SDM)
//! describes the encoding.

use super::arch::Registers;

/// A piece of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Its address.
    pub address: u64,
    /// Its length in bytes, at least what is accessed.
    pub length: u64,
}

/// The longest instruction, in bytes.
pub const LONGEST: usize = 15;

/// The registers that an operand is computed from.
struct Bases {
    /// In the order of their numbers: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15.
    general: [u64; 16],
    next: u64,
    fs: u64,
    gs: u64,
}

impl Registers {
    /// The operands in memory of the instruction `code`, at which the task stands; `None` for an encoding that is not
    /// known. On other architectures every encoding is unknown.
    pub fn operands(&self, code: &[u8]) -> Option<Vec<Operand>> {
        let (general, segments) = self.bases()?;
        let bases = Bases { general, next: self.instruction(), fs: segments[0], gs: segments[1] };
        decode(code, &bases)
    }

    /// Whether the instruction `code` jumps to an address in memory relative to itself, as the stub of a function of
    /// another library does.
    pub fn is_stub(code: &[u8]) -> bool {
        matches!(code, [0xff, 0x25, ..] | [0xf2, 0xff, 0x25, ..])
    }
}

/// The bytes of an instruction, read in order.
struct Code<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Code<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn signed(&mut self, length: usize) -> Option<u64> {
        let bytes = self.bytes.get(self.at..self.at + length)?;
        self.at += length;
        Some(match bytes {
            [byte] => byte.cast_signed() as u64,
            bytes => i32::from_le_bytes(bytes.try_into().ok()?) as u64,
        })
    }
}

/// What the opcode says of an instruction.
struct Form {
    has_operand: bool,
    length: u64,
    /// The length of the constant at the end.
    constant: usize,
}

const NONE: Form = Form { has_operand: false, length: 0, constant: 0 };

fn decode(bytes: &[u8], bases: &Bases) -> Option<Vec<Operand>> {
    let mut code = Code { bytes, at: 0 };
    let (mut segment, mut is_short) = (0, false);
    let mut byte = code.next()?;
    loop {
        match byte {
            0x66 => is_short = true,
            0x26 | 0x2e | 0x36 | 0x3e | 0xf0 | 0xf2 | 0xf3 => {}
            0x64 => segment = bases.fs,
            0x65 => segment = bases.gs,
            // Addresses of 32 bits, and vectors of AVX-512.
            0x67 | 0x62 => return None,
            _ => break,
        }
        byte = code.next()?;
    }
    let mut rex = 0;
    if byte & 0xf0 == 0x40 {
        rex = byte;
        byte = code.next()?;
    }
    let usual = if rex & 8 != 0 { 8 } else { 4 };
    let form = match byte {
        0xa4..=0xa7 | 0xaa..=0xaf => {
            let operand = |register: usize| Operand { address: bases.general[register], length: 8 };
            return Some(match byte {
                0xa4..=0xa7 => vec![operand(6), operand(7)],
                0xac | 0xad => vec![operand(6)],
                _ => vec![operand(7)],
            });
        }
        0xa0..=0xa3 => {
            let address = bytes.get(code.at..code.at + 8)?.try_into().map(u64::from_le_bytes).ok()?;
            return Some(vec![Operand { address: address.wrapping_add(segment), length: usual }]);
        }
        0xd7 => return None,
        0x0f => match code.next()? {
            0x38 => {
                code.next()?;
                Form { has_operand: true, length: 16, constant: 0 }
            }
            0x3a => {
                code.next()?;
                Form { has_operand: true, length: 16, constant: 1 }
            }
            second => long(second, usual),
        },
        // VEX: the extensions of the registers are inverted.
        0xc5 => {
            code.next()?;
            let form = long(code.next()?, 32);
            Form { length: 32, ..form }
        }
        0xc4 => {
            let extensions = code.next()?;
            code.next()?;
            rex = !extensions >> 5 & 3;
            let second = code.next()?;
            match extensions & 0x1f {
                1 => Form { length: 32, ..long(second, 32) },
                // Gathered from several addresses.
                2 if (0x90..=0x93).contains(&second) => return None,
                2 => Form { has_operand: true, length: 32, constant: 0 },
                3 => Form { has_operand: true, length: 32, constant: 1 },
                _ => return None,
            }
        }
        byte => short(byte, usual, if is_short { 2 } else { 4 }),
    };
    if !form.has_operand {
        return Some(Vec::new());
    }
    let modrm = code.next()?;
    let constant = match (byte, modrm >> 3 & 7) {
        // `test` has a constant, the other operations of these opcodes have none.
        (0xf6 | 0xf7, 2..) => 0,
        _ => form.constant,
    };
    let address = operand(modrm, rex, &mut code, constant, bases)?;
    Some(address.map_or_else(Vec::new, |address| {
        vec![Operand { address: address.wrapping_add(segment), length: form.length }]
    }))
}

/// The address of the operand that a ModRM byte describes, if it is in memory.
fn operand(modrm: u8, rex: u8, code: &mut Code<'_>, constant: usize, bases: &Bases) -> Option<Option<u64>> {
    let (mode, low) = (modrm >> 6, modrm & 7);
    if mode == 3 {
        return Some(None);
    }
    let extended = |number: u8, bit: u8| usize::from(number | (rex >> bit & 1) << 3);
    let mut address = match low {
        4 => {
            let sib = code.next()?;
            let index = extended(sib >> 3 & 7, 1);
            let index = if index == 4 { 0 } else { bases.general[index] << (sib >> 6) };
            let base = match sib & 7 {
                5 if mode == 0 => code.signed(4)?,
                base => bases.general[extended(base, 0)],
            };
            base.wrapping_add(index)
        }
        5 if mode == 0 => {
            let offset = code.signed(4)?;
            bases.next.wrapping_add(offset).wrapping_add((code.at + constant) as u64)
        }
        _ => bases.general[extended(low, 0)],
    };
    match mode {
        1 => address = address.wrapping_add(code.signed(1)?),
        2 => address = address.wrapping_add(code.signed(4)?),
        _ => {}
    }
    Some(Some(address))
}

/// An opcode of one byte; `wide` is the length of a constant of full size.
fn short(opcode: u8, usual: u64, wide: usize) -> Form {
    let byte_or = |opcode: u8| if opcode & 1 == 0 { 1 } else { usual };
    let form = |length, constant| Form { has_operand: true, length, constant };
    match opcode {
        0x00..=0x3f if opcode & 7 < 4 => form(byte_or(opcode), 0),
        0x63 => form(4, 0),
        0x69 => form(usual, wide),
        0x6b | 0x83 | 0xc1 => form(usual, 1),
        0x81 | 0xc7 | 0xf7 => form(usual, wide),
        0x80 | 0xc0 | 0xc6 | 0xf6 => form(1, 1),
        0x84..=0x8b | 0xd0..=0xd3 | 0xfe => form(byte_or(opcode), 0),
        // `pop`, `call`, `jmp` and `push` through memory.
        0x8f | 0xff => form(8, 0),
        0xd8..=0xdf => form(10, 0),
        // Among them `lea`, which only computes an address.
        _ => NONE,
    }
}

/// An opcode of two bytes, the first of which is 0x0f.
fn long(second: u8, usual: u64) -> Form {
    let form = |length, constant| Form { has_operand: true, length, constant };
    match second {
        0x05..=0x0f
        | 0x18..=0x1f
        | 0x30..=0x37
        | 0x77
        | 0x80..=0x8f
        | 0xa0..=0xa2
        | 0xa8..=0xaa
        | 0xc8..=0xcf => NONE,
        0x70..=0x73 | 0xc2 | 0xc4..=0xc6 => form(16, 1),
        0xa4 | 0xac | 0xba => form(usual, 1),
        0x90..=0x9f | 0xb6 | 0xbe => form(1, 0),
        0xb7 | 0xbf => form(2, 0),
        0x40..=0x4f | 0xa3 | 0xa5 | 0xab | 0xad | 0xaf..=0xb5 | 0xb8..=0xbd | 0xc0 | 0xc1 | 0xc3 => {
            form(usual, 0)
        }
        // `fxsave`, `xsave` and the like.
        0xae | 0xc7 => form(4096, 0),
        _ => form(16, 0),
    }
}

/// Whether an instruction writes its operand in memory without reading it: `mov` to memory. Other stores are not recognized.
pub fn only_stores(code: &[u8]) -> bool {
    const PREFIXES: [u8; 6] = [0x66, 0x2e, 0x3e, 0x36, 0x64, 0x65];
    let mut rest =
        code.iter().skip_while(|byte| PREFIXES.contains(byte)).skip_while(|byte| **byte & 0xf0 == 0x40);
    cfg!(target_arch = "x86_64") && matches!(rest.next(), Some(0x88 | 0x89 | 0xc6 | 0xc7))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The operand of an instruction at 0x1000, where each register holds its number times 0x100.
    fn of(code: &[u8]) -> Option<Vec<(u64, u64)>> {
        let general = std::array::from_fn(|number| number as u64 * 0x100);
        let bases = Bases { general, next: 0x1000, fs: 0xf000, gs: 0 };
        let operands = decode(code, &bases)?;
        Some(operands.into_iter().map(|operand| (operand.address, operand.length)).collect())
    }

    #[test]
    fn an_operand_in_memory_has_the_address_that_the_processor_computes() {
        type Known = (&'static str, &'static [u8], &'static [(u64, u64)]);
        let known: [Known; 16] = [
            ("mov [rip+0x10], eax", &[0x89, 0x05, 0x10, 0, 0, 0], &[(0x1016, 4)]),
            ("mov dword [rip+0x10], 1", &[0xc7, 0x05, 0x10, 0, 0, 0, 1, 0, 0, 0], &[(0x101a, 4)]),
            ("add dword [rip-6], 1", &[0x83, 0x05, 0xfa, 0xff, 0xff, 0xff, 1], &[(0x1001, 4)]),
            ("mov rax, [rbx+rcx*8+0x20]", &[0x48, 0x8b, 0x44, 0xcb, 0x20], &[(0xb20, 8)]),
            ("mov rax, [r12+r9*4]", &[0x4b, 0x8b, 0x04, 0x8c], &[(0x3000, 8)]),
            ("mov eax, [0x404040]", &[0x8b, 0x04, 0x25, 0x40, 0x40, 0x40, 0], &[(0x40_4040, 4)]),
            ("mov fs:[rax], edx", &[0x64, 0x89, 0x10], &[(0xf000, 4)]),
            ("mov rax, fs:[0x28]", &[0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0], &[(0xf028, 8)]),
            ("lea rax, [rbx]", &[0x48, 0x8d, 0x03], &[]),
            ("mov rax, rbx", &[0x48, 0x89, 0xd8], &[]),
            ("nop [rax]", &[0x0f, 0x1f, 0x00], &[]),
            ("rep movsb", &[0xf3, 0xa4], &[(0x600, 8), (0x700, 8)]),
            ("movzx eax, byte [rsi]", &[0x0f, 0xb6, 0x06], &[(0x600, 1)]),
            ("vmovdqu ymm0, [rsi]", &[0xc5, 0xfe, 0x6f, 0x06], &[(0x600, 32)]),
            ("test dword [rdi], 1", &[0xf7, 0x07, 1, 0, 0, 0], &[(0x700, 4)]),
            ("je", &[0x74, 0x10], &[]),
        ];
        for (words, code, operands) in known {
            assert_eq!(of(code).as_deref(), Some(operands), "{words}");
        }
        assert_eq!(of(&[0x67, 0x8b, 0x00]), None);
        assert_eq!(of(&[0x8b]), None, "it is cut off");
    }
}
