"""`complexity`: what networks cost in operations, memory, time and energy, after Canziani, Paszke and Culurciello."""
