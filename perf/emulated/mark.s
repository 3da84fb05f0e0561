# Executes the no-operation at which the plugin writes down its counters. With one argument it
# marks, runs 2,000,000 instructions of a loop and 16 string instructions that clear 4 KiB each, and
# marks again: the difference shows whether the plugin counts as hardware does. With two arguments it
# marks nothing and switches the guest's clock between its normal and its slow speed.
    .globl _start
    .macro magic last
    .byte 0x0f, 0x1f, 0x84, 0x00, 0xc0, 0xde, 0xc0, \last
    .endm
_start:
    cmpq $2, (%rsp)
    ja 4f
    magic 0x0c
    jb 3f
    mov $1000000, %ecx
1:  dec %ecx
    jnz 1b
    mov $16, %edx
    xor %eax, %eax
2:  mov $4096, %ecx
    lea room(%rip), %rdi
    rep stosb
    dec %edx
    jnz 2b
    magic 0x0c
    jmp 3f
4:  magic 0x0d
3:  mov $60, %eax
    xor %edi, %edi
    syscall
    .lcomm room, 4096
