/* Nothing: its end on the device's clock is when what follows it in the queue may begin. A marker's has no time that
 * can be trusted. */
kernel void profile_mark(void)
{
}
