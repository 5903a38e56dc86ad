/* AVR in simavr: images are in flash, text goes to the first UART. A tick is a cycle. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>

static const uint8_t images[$images][$pixels] PROGMEM = {
$content
};
static volatile uint16_t overflows;

ISR(TIMER1_OVF_vect)
{
    overflows++;
}

#define TICKS 0xFFFFFFFF

static uint32_t ticks(void)
{
    const uint16_t low = TCNT1;

    return ((uint32_t)overflows << 16 | low) * 64;
}

static void print(const char *text)
{
    while (*text) {
        while (!(UCSR0A & 1 << UDRE0)) {
        }
        UDR0 = (uint8_t)*text++;
    }
}

static void start_clock(void)
{
    UCSR0B = 1 << TXEN0;
    TIMSK1 = 1 << TOIE1;
    TCCR1B = 3; /* the processor's clock / 64 */
    sei();
    print("2000000\n");
}

static void stop(void)
{
    cli();
    sleep_mode();
}

static int next_image(uint8_t *image)
{
    static uint8_t next;

    if (next == $images)
        return 0;
    memcpy_P(image, images[next++], $pixels);
    return 1;
}
