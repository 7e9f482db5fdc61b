"""What `pilotfish distill` works with: settings checked, rows, teachers, and a way for each thing that is learnt."""
